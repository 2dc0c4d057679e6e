// Pays with Alipay's own Node SDK: pay.cjs GATEWAY DIR LANES WARM COUNT.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { AlipaySdk } = require('alipay-sdk');

const [gateway, folder, ...counts] = process.argv.slice(2);
const [lanes, warm, count] = counts.map(Number);
const read = (name) => fs.readFileSync(path.join(folder, name), 'utf8');
const sdk = new AlipaySdk({
  gateway,
  appId: '2014072300007148',
  privateKey: read('app_private_key.pem'),
  keyType: 'PKCS8',
  alipayPublicKey: read('alipay_public_key.pem'),
});

async function pay(number) {
  const bizContent = {
    out_trade_no: `JS${number}`,
    scene: 'bar_code',
    auth_code: `28${String(number).padStart(16, '0')}`,
    subject: '咖啡',
    total_amount: '88.88',
    store_id: 'BENCH',
  };
  const answer = await sdk.exec('alipay.trade.pay', { bizContent }, { validateSign: true });
  assert.equal(answer.code, '10000');
}

async function payAll(start, many) {
  const lane = async (n) => {
    for (let number = start + n; number < start + many; number += lanes) await pay(number);
  };
  await Promise.all(Array.from({ length: lanes }, (_, n) => lane(n)));
}

(async () => {
  await payAll(0, warm);
  const [begun, cpu] = [process.hrtime.bigint(), process.cpuUsage()];
  await payAll(warm, count);
  const { user, system } = process.cpuUsage(cpu);
  const seconds = Number(process.hrtime.bigint() - begun) / 1e9;
  console.log(JSON.stringify({ payments: count, seconds, cpu_seconds: (user + system) / 1e6 }));
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
