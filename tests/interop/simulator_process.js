// Starts netsentinel-simulator in a temporary folder and speaks to its control channel.
'use strict';

const fs = require('fs');
const net = require('net');
const os = require('os');
const path = require('path');
const { spawn } = require('child_process');

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

class SimulatorProcess {
  // `scenario` is an object as docs/simulator.md describes it.
  static async start(scenario) {
    const self = new SimulatorProcess();
    self.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'netsentinel-simulator-'));
    const file = (name) => path.join(self.folder, name);
    fs.writeFileSync(file('scenario.yaml'), JSON.stringify(scenario));
    self.child = spawn(
        path.join(process.env.NS_BIN_DIR, 'netsentinel-simulator'),
        ['--scenario', file('scenario.yaml'), '--ports-file', file('ports.json'), '--truth-log',
         file('truth.jsonl'), '--control', '127.0.0.1:0'],
        {stdio: ['ignore', 'ignore', 'inherit']});
    // Whatever ends this process ends the simulator too.
    process.on('exit', () => self.child.kill('SIGKILL'));
    self.exited = new Promise((resolve) => self.child.on('exit', resolve));
    for (let n = 0; !fs.existsSync(file('ports.json')); ++n) {
      if (n > 1000 || self.child.exitCode !== null) throw new Error('the simulator did not start');
      await sleep(20);
    }
    self.ports = JSON.parse(fs.readFileSync(file('ports.json'), 'utf8'));
    const [host, port] = self.ports.control.split(':');
    self.control = net.connect(Number(port), host);
    self.answers = [];
    let text = '';
    self.control.on('data', (data) => {
      text += data;
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
        self.answers.shift()(JSON.parse(text.slice(0, end)));
        text = text.slice(end + 1);
      }
    });
    return self;
  }

  async act(line) {
    const answer = await new Promise((resolve) => {
      this.answers.push(resolve);
      this.control.write(JSON.stringify(line) + '\n');
    });
    if (!answer.ok) throw new Error(answer.error);
    return answer;
  }

  // The records of the truth log for which `keep` holds, once there are `count` of them.
  async truth(count, keep) {
    for (let n = 0; n < 500; ++n) {
      const lines = fs.readFileSync(path.join(this.folder, 'truth.jsonl'), 'utf8').split('\n');
      lines.pop();  // what follows the last line's end: nothing, or a line being written
      const found = lines.map((line) => JSON.parse(line)).filter(keep);
      if (found.length >= count) return found.slice(0, count);
      await sleep(20);
    }
    throw new Error(`the truth log has fewer than ${count} such records`);
  }

  async stop() {
    this.control.destroy();
    this.child.kill('SIGTERM');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 10000);
    const code = await this.exited;
    clearTimeout(timer);
    fs.rmSync(this.folder, {recursive: true});
    return code;
  }
}

module.exports = {SimulatorProcess, sleep};
