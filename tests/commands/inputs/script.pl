# Hashes, regular expressions, fork, pipes, sockets, sorting.
use strict; use warnings; use Socket; use IO::Handle;
my %count;
open my $in, '<', 'text.txt' or die;
while (<$in>) { $count{lc $1}++ while /(\w+)/g }
printf "%s %d\n", $_, $count{$_} for (sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count)[0 .. 9];
socketpair(my $here, my $there, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die;
$here->autoflush(1); $there->autoflush(1);
my $child = fork // die;
if (!$child) { close $here; while (<$there>) { print $there scalar reverse($_ =~ s/\n//r), "\n" } exit 5 }
close $there;
for my $word (qw(alpha beta gamma)) { print $here "$word\n"; print scalar <$here> }
close $here; waitpid $child, 0; print "status ", $? >> 8, "\n";
my @lines = `sort -n numbers.txt | tail -3`; print @lines;
local $SIG{ALRM} = sub { die "alarm\n" };
eval { alarm 1; kill ALRM => $$; 1 } or print "caught $@";
my $text = join ',', map { $_ ** 2 } grep { $_ % 2 } 1 .. 9; print "$text\n";
die "the end\n";
