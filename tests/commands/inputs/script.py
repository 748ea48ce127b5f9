# Threads, processes, subprocesses, ctypes with a callback, sockets, a database, exceptions.
import asyncio, collections, concurrent.futures, ctypes, os, re, signal, socket, subprocess, sys, threading

words = collections.Counter(re.findall(r"\w+", open("text.txt").read().lower()))
print(sorted(words.items(), key=lambda item: (-item[1], item[0]))[:5])
results = [0] * 4
def work(n): results[n] = sum(len(str(i)) for i in range(n * 1000))
threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
[t.start() for t in threads]; [t.join() for t in threads]
print(results)
with concurrent.futures.ProcessPoolExecutor(2) as pool:
    print(list(pool.map(pow, range(5), range(5))))
print(subprocess.run("sort -n numbers.txt | head -2", shell=True, capture_output=True).stdout)
print(subprocess.run(["false"]).returncode, subprocess.Popen(["cat"], stdin=-1, stdout=-1).communicate(b"x" * 9)[0])
libc = ctypes.CDLL(None)
compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
numbers = (ctypes.c_int * 6)(5, 2, 9, 1, 7, 3)
libc.qsort(numbers, 6, ctypes.sizeof(ctypes.c_int), compare(lambda a, b: a[0] - b[0]))
print(list(numbers))
here, there = socket.socketpair()
child = os.fork()
if child == 0:
    there.sendall(b"from the child"); os._exit(8)
print(here.recv(100), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
async def later(n): await asyncio.sleep(0); return n * 2
async def main(): return await asyncio.gather(*(later(n) for n in range(4)))
print(asyncio.run(main()))
signal.signal(signal.SIGUSR1, lambda *_: print("signalled")); os.kill(os.getpid(), signal.SIGUSR1)
print("on stderr", file=sys.stderr)
raise SystemExit(9)
