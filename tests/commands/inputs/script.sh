# Pipes, subshells, traps, here documents, functions, jobs.
set -u
trap 'echo "ends with $?"' EXIT
trap 'echo interrupted' USR1
count() { wc -l | tr -d ' '; }
total=0
for file in tree/*/*.txt; do
    lines=$(count <"$file")
    total=$((total + lines))
done
echo "lines: $total"
(cd tree && (exit 4) || echo "subshell: $?")
diff <(sort numbers.txt) <(sort -n numbers.txt) >/dev/null || echo "orders differ: $?"
cat <<END | sed 's/^/> /' | while read -r line; do echo "$line" | tr a-z A-Z; done
here is a document
of two lines
END
kill -USR1 $$
for n in 1 2 3 4; do (echo "job $n" >"job.$n"; exit "$n") & done
wait
cat job.*
declare -A table=([one]=1 [two]=2)
echo "${#table[@]} ${table[two]}"
coproc upper { tr a-z A-Z; }
echo "to the coprocess" >&"${upper[1]}"
exec {upper[1]}>&-
cat <&"${upper[0]}"
exit 6
