//! Input for real programs: large, made on the spot, and the same every time.

use crate::program::Program;
use crate::scratch::Scratch;
use std::fmt::Write;
use std::path::PathBuf;

/// Numbers that look random and are not: a linear congruential generator.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

/// An XML document of at least `bytes`: a catalogue of nested elements with attributes, text and entities.
pub fn xml(bytes: usize) -> String {
    let mut numbers = Numbers(1);
    let mut text = String::from("<?xml version=\"1.0\"?>\n<catalogue>\n");
    while text.len() < bytes {
        let (id, price) = (numbers.next(1_000_000), numbers.next(10_000));
        writeln!(text, "  <item id=\"i{id}\" price=\"{price}\"><name>Item &amp; number {id}</name>")
            .expect(FITS);
        for part in 0..numbers.next(5) {
            writeln!(text, "    <part n=\"{part}\">{}</part>", numbers.next(u64::MAX)).expect(FITS);
        }
        text.push_str("  </item>\n");
    }
    text + "</catalogue>\n"
}

/// A JSON array of at least `bytes`: objects with numbers, strings and arrays.
pub fn json(bytes: usize) -> String {
    let mut numbers = Numbers(2);
    let mut text = String::from("[");
    while text.len() < bytes {
        let (id, group, value) = (numbers.next(1 << 40), numbers.next(17), numbers.next(1000));
        let tags: Vec<String> = (0..numbers.next(6)).map(|tag| format!("\"tag-{tag}\"")).collect();
        writeln!(
            text,
            "{{\"id\":{id},\"group\":\"g{group}\",\"value\":{value}.5,\"tags\":[{}]}},",
            tags.join(",")
        )
        .expect(FITS);
    }
    text + "{\"id\":0,\"group\":\"last\",\"value\":0,\"tags\":[]}]\n"
}

/// A script for sqlite3: two tables, joins, aggregates, an index, a recursive query and a window. `scale` 1 makes 20,000 orders
/// of 2000 customers, 2 twice as many, and so on.
pub fn sql(scale: u32) -> String {
    let (customers, orders) = (2000 * scale, 20_000 * scale);
    format!(
        "\
create table customers (id integer primary key, name text, city text);
create table orders (id integer primary key, customer integer, amount real, day integer);
with recursive n(i) as (select 1 union all select i + 1 from n where i < {customers})
  insert into customers select i, 'customer ' || i, 'city ' || (i * 7 % 50) from n;
with recursive n(i) as (select 1 union all select i + 1 from n where i < {orders})
  insert into orders select i, i * 31 % {customers} + 1, (i * 17 % 1000) / 10.0, i % 365 from n;
create index by_customer on orders (customer);
select city, count(*), round(sum(amount), 2), max(day) from orders join customers on customers.id = customer
  group by city order by 3 desc, 1 limit 20;
select name, group_concat(day, ' ') from customers join orders on customer = customers.id where customers.id < 5 group by name;
select day, total, round(avg(total) over (order by day rows 6 preceding), 2)
  from (select day, round(sum(amount), 2) as total from orders group by day) order by day limit 15;
delete from orders where day between 100 and 200;
select count(*), count(distinct customer) from orders;
"
    )
}

/// A script for perl: hashes, sorting, regular expressions, closures, string building. `scale` 1 makes 20,000 lines, 2 twice as
/// many, and so on.
pub fn perl(scale: u32) -> String {
    PERL.replace("20000", &(20_000 * scale).to_string())
}

const PERL: &str = r#"
my (%count, @lines);
for my $i (1 .. 20000) { push @lines, sprintf("user%d GET /page/%d?x=%d", $i % 97, $i * 7 % 1000, $i); }
for (@lines) { $count{$1}{$2}++ if m{^(\w+) GET /page/(\d+)}; }
my @top = sort { keys %{$count{$b}} <=> keys %{$count{$a}} || $a cmp $b } keys %count;
print "$_ ", scalar(keys %{$count{$_}}), "\n" for @top[0 .. 9];
my @adders = map { my $n = $_; sub { $_[0] + $n } } 1 .. 1000;
my $sum = 0; $sum = $_->($sum) for @adders;
print "$sum ", length(join(",", map { scalar reverse } @lines)), "\n";
"#;

/// A script for Python: containers, strings, classes, generators, a cycle for its collector, JSON and regular expressions, all
/// of it `times` times.
pub fn python(times: u32) -> String {
    let body = PYTHON.replace('\n', "\n    ");
    format!("import json, re, collections\nfor _ in range({times}):{}\n", body.trim_end())
}

const PYTHON: &str = r#"
class Node:
    def __init__(self, value): self.value, self.other = value, None
nodes = [Node(i) for i in range(3000)]
for a, b in zip(nodes, nodes[1:] + nodes[:1]): a.other = b
words = collections.Counter(re.findall(r"\w+", " ".join("word%d" % (i * i % 101) for i in range(20000))))
print(words.most_common(3))
# Without the check for cycles, which keeps id() of every object: ints of 28 or 32 bytes, by where the heap happens to be.
text = json.dumps({str(i): [i, i / 2, {"x": None}] for i in range(3000)}, check_circular=False)
print(len(text), sum(v[0] for v in json.loads(text).values()))
print(sum(len(str(2 ** n)) for n in range(300)))
"#;

/// A C++ file that draws in templates of the standard library.
pub const CPP: &str = "\
#include <algorithm>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <vector>
int main() {
    std::map<std::string, int> counts;
    for (std::string line, word; std::getline(std::cin, line);)
        for (std::istringstream words(line); words >> word;)
            counts[word]++;
    std::vector<std::pair<std::string, int>> all(counts.begin(), counts.end());
    std::stable_sort(all.begin(), all.end(), [](auto &one, auto &other) { return one.second > other.second; });
    for (const auto &entry : all)
        std::cout << entry.first << ' ' << entry.second << '\\n';
}
";

/// One of the largest: memcheck takes a minute and a half over it, and heaptrack 1.4 gives up on its data.
pub const LARGE_CPP: &str = "\
#include <iostream>
#include <map>
#include <regex>
#include <string>
int main() {
    std::map<std::string, int> counts;
    const std::regex word(\"[a-z]+\");
    for (std::string line; std::getline(std::cin, line);)
        for (std::sregex_iterator it(line.begin(), line.end(), word), end; it != end; ++it)
            counts[it->str()]++;
    for (const auto &entry : counts)
        std::cout << entry.first << ' ' << entry.second << '\\n';
}
";

/// A C++ file, preprocessed, in `folder`.
pub fn preprocessed_cpp(folder: &Scratch, source: &str) -> PathBuf {
    let source = folder.write("input.cpp", source);
    let result = folder.join("input.ii");
    Program::new("g++").args(["-std=c++17", "-E"]).arg(source).arg("-o").arg(&result).run().succeeded();
    result
}

/// A git repository in `folder` with so many commits over 40 files.
pub fn git_repository(folder: &Scratch, commits: u64) -> PathBuf {
    let repository = folder.join("repository");
    let mut numbers = Numbers(3);
    let mut stream = String::new();
    for commit in 1..=commits {
        let message = format!("Change number {commit}\n\nIt touches file {}.\n", commit % 40);
        let content: String =
            (0..20).map(|line| format!("line {line}: {}\n", numbers.next(1 << 20))).collect();
        writeln!(
            stream,
            "commit refs/heads/main\ncommitter Some One <one@example.org> {} +0100",
            1_600_000_000 + commit * 3600
        )
        .expect(FITS);
        writeln!(stream, "data {}\n{message}", message.len()).expect(FITS);
        writeln!(
            stream,
            "M 100644 inline dir{}/file{}.txt\ndata {}\n{content}",
            commit % 4,
            commit % 40,
            content.len()
        )
        .expect(FITS);
    }
    let git = |args: &[&str]| Program::new("git").args(args).env("GIT_CONFIG_NOSYSTEM", "1");
    git(&["init", "--quiet", "--initial-branch=main"]).arg(&repository).run().succeeded();
    git(&["fast-import", "--quiet"]).current_dir(&repository).stdin(stream).run().succeeded();
    repository
}

const FITS: &str = "a string takes it all";
