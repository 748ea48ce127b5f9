// Workers, children, streams, timers.
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
if (!isMainThread) {
  parentPort.postMessage(workerData.map((n) => n * n));
} else {
  const { execFileSync, spawnSync } = require('child_process');
  const crypto = require('crypto'), fs = require('fs'), zlib = require('zlib');
  const text = fs.readFileSync('text.txt');
  console.log(crypto.createHash('sha256').update(text).digest('hex'));
  console.log(zlib.inflateSync(zlib.deflateSync(text)).equals(text));
  console.log(execFileSync('sort', ['-n', 'numbers.txt']).toString().split('\n').slice(0, 3));
  console.log(spawnSync('sh', ['-c', 'exit 7']).status);
  const worker = new Worker(__filename, { workerData: [1, 2, 3] });
  worker.on('message', (squares) => { console.log(squares); process.exitCode = 4; });
}
