// CPU time of one poll through node-routeros, as bench_api_client prints it:
// node node_api_reader.js PORT USER PASSWORD ROUNDS COMMAND WORD…
'use strict';

const { RouterOSAPI } = require('node-routeros');

const [port, user, password, rounds, command, ...words] = process.argv.slice(2);

const cpuMilliseconds = () => {
  const usage = process.cpuUsage();
  return (usage.user + usage.system) / 1000;
};

async function main() {
  const api = new RouterOSAPI({host: '127.0.0.1', port: Number(port), user, password, timeout: 60});
  await api.connect();
  const times = [];
  let rows = 0;
  for (let i = 0; i <= Number(rounds); ++i) {
    const begin = cpuMilliseconds();
    rows = (await api.write(command, words)).length;
    times.push(cpuMilliseconds() - begin);
  }
  const first = times.shift();
  times.sort((a, b) => a - b);
  console.log(JSON.stringify({
    rows, first_ms: first, median_ms: times[times.length >> 1], best_ms: times[0]}));
  await api.close();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
