// node-routeros, a client that others wrote, reads the simulator as a router with 7.17: it logs
// in, prints queues, and sees what the simulator's truth log says. (It knows no !empty, so 7.18
// would stop it at an empty list.)
'use strict';

const assert = require('assert');
const { RouterOSAPI } = require('node-routeros');
const { SimulatorProcess } = require('./simulator_process.js');

const scenario = (mode) => ({
  routers: [{
    id: 'r1', mode, uptime_s: 93784, users: [{name: 'ns', password: 's3cret'}],
    queues: [
      {name: 'subscriber-{n}', count: 500, target: '10.0.{hi}.{lo}/32', up_rate: 3000,
       down_rate: 70000, active_permille: 500, slot_ms: 20},
      {pppoe_user: 'ali', down_rate: 5000},
      {name: 'room 12/<left>=x', comment: 'a=b'},
      {menu: 'tree', name: 'all', parent: 'global'},
      {menu: 'tree', name: 'down', parent: 'all', down_rate: 12345},
    ],
  }],
});

const client = (simulator, password = 's3cret') => new RouterOSAPI({
  host: '127.0.0.1', port: simulator.ports.routers.r1.api, user: 'ns', password, timeout: 20});

const pairs = (rows) => new Map(rows.map((row) => [row.name, row.bytes]));
const served = (record) => new Map(record.rows.map(
    ([, name, up, down]) => [Buffer.from(name, 'hex').toString('latin1'), `${up}/${down}`]));

async function queuesEqualTheTruth(simulator) {
  const api = client(simulator);
  await api.connect();
  for (let round = 1; round <= 5; ++round) {
    await simulator.act({router: 'r1', do: 'move', queue: 'subscriber-7', up: 11, down: 1e9 + round});
    const rows = await api.write('/queue/simple/print', ['=.proplist=.id,name,bytes,comment']);
    assert.strictEqual(rows.length, 502);
    const records = await simulator.truth(
        round, (r) => r.t === 'snapshot' && r.menu === '/queue/simple');
    assert.deepStrictEqual(pairs(rows), served(records[round - 1]));
    assert.strictEqual(records[round - 1].complete, true);
    assert.strictEqual(rows.find((row) => row.name === 'room 12/<left>=x').comment, 'a=b');
  }
  const [one, two, tree, resource] = await Promise.all([
    api.write('/queue/simple/print', ['?name=<pppoe-ali>']),
    api.write('/queue/simple/print', ['=.proplist=name', '?comment']),
    api.write('/queue/tree/print'),
    api.write('/system/resource/print'),
  ]);
  assert.strictEqual(one[0].dynamic, 'true');
  assert.deepStrictEqual(two, [{name: 'room 12/<left>=x'}]);
  assert.strictEqual(tree[0].bytes, tree[1].bytes);
  assert.match(resource[0].uptime, /^1d2h3m/);
  assert.strictEqual(resource[0].version, '7.17.2 (stable)');
  assert.deepStrictEqual(await api.write('/queue/simple/print', ['?name=nobody']), []);
  await assert.rejects(api.write('/system/health/print'), /no such command prefix/);
  assert.strictEqual((await api.write('/system/identity/print'))[0].name, 'r1');
  await api.close();
}

async function wrongPasswordIsRefused(simulator) {
  await assert.rejects(client(simulator, 'bad').connect());
}

async function legacyLoginWorks() {
  const simulator = await SimulatorProcess.start(scenario('pre643'));
  const api = client(simulator);
  await api.connect();
  assert.strictEqual((await api.write('/queue/simple/print')).length, 502);
  await api.close();
  assert.strictEqual(await simulator.stop(), 0);
}

async function main() {
  const simulator = await SimulatorProcess.start(scenario('v7.17'));
  await queuesEqualTheTruth(simulator);
  await wrongPasswordIsRefused(simulator);
  assert.strictEqual(await simulator.stop(), 0);
  await legacyLoginWorks();
  console.log('node-routeros agrees with the truth log');
}

setTimeout(() => {
  console.error('node_routeros_test: out of time');
  process.exit(1);
}, 100000).unref();
main().catch((error) => {
  console.error(error);
  process.exit(1);
});
