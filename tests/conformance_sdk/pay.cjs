// Alipay's own Node SDK against the sandbox: pay.cjs GATEWAY DIR.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { AlipaySdk } = require('alipay-sdk');

const [gateway, folder] = process.argv.slice(2);
const read = (name) => fs.readFileSync(path.join(folder, name), 'utf8');
const sdk = new AlipaySdk({
  gateway,
  appId: read('app_id').trim(),
  privateKey: read('app_private_key.pem'),
  keyType: 'PKCS8',
  alipayPublicKey: read('alipay_public_key.pem'),
});

let count = 0;
const call = (method, bizContent) => sdk.exec(method, { bizContent }, { validateSign: true });
const pay = (order, amount, more = {}) =>
  call('alipay.trade.pay', {
    out_trade_no: order,
    scene: 'bar_code',
    auth_code: `2822220000${String((count += 1)).padStart(8, '0')}`,
    subject: '咖啡 + 牛奶 100%',
    total_amount: amount,
    product_code: 'FACE_TO_FACE_PAYMENT',
    ...more,
  });
const query = (order) => call('alipay.trade.query', { out_trade_no: order });
const cancel = (order) => call('alipay.trade.cancel', { out_trade_no: order });

(async () => {
  let answer = await pay('JS_PAID', '12.50', { timeout_express: '5m' });
  assert.deepEqual([answer.code, answer.outTradeNo, answer.totalAmount], ['10000', 'JS_PAID', '12.50']);
  assert.match(answer.traceId, /^[0-9a-f]{32}$/);
  answer = await query('JS_PAID');
  assert.deepEqual([answer.tradeStatus, answer.totalAmount, answer.subject], ['TRADE_SUCCESS', '12.50', '咖啡 + 牛奶 100%']);
  assert.equal((await pay('JS_PAID', '12.50')).subCode, 'ACQ.TRADE_HAS_SUCCESS');
  answer = await call('alipay.trade.refund', { out_trade_no: 'JS_PAID', refund_amount: '2.50', out_request_no: 'R1' });
  assert.deepEqual([answer.code, answer.fundChange, answer.refundFee], ['10000', 'Y', '2.50']);
  answer = await call('alipay.trade.fastpay.refund.query', { out_trade_no: 'JS_PAID', out_request_no: 'R1' });
  assert.deepEqual([answer.refundStatus, answer.refundAmount, answer.gmtRefundPay], ['REFUND_SUCCESS', '2.50', undefined]);
  answer = await call('alipay.trade.fastpay.refund.query', {
    out_trade_no: 'JS_PAID',
    out_request_no: 'R1',
    query_options: ['gmt_refund_pay'],
  });
  assert.match(answer.gmtRefundPay, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/);
  answer = await call('alipay.trade.fastpay.refund.query', { out_trade_no: 'JS_PAID', out_request_no: 'R9' });
  assert.deepEqual([answer.code, answer.refundStatus, answer.outTradeNo], ['10000', undefined, undefined]);
  const again = (refund_amount) =>
    call('alipay.trade.refund', { out_trade_no: 'JS_PAID', refund_amount, out_request_no: 'R1' });
  assert.equal((await again('2.50')).fundChange, 'N');
  assert.equal((await again('2.51')).subCode, 'ACQ.DISCORDANT_REPEAT_REQUEST');

  const precreate = () =>
    call('alipay.trade.precreate', {
      out_trade_no: 'JS_CODE',
      total_amount: '3.00',
      subject: '咖啡',
      qr_code_timeout_express: '5m',
    });
  answer = await precreate();
  assert.match(answer.qrCode, /^https:\/\/qr\.alipay\.com\/bax/);
  assert.equal((await query('JS_CODE')).subCode, 'ACQ.TRADE_NOT_EXIST');
  assert.equal((await precreate()).subCode, 'ACQ.APPLY_PC_MERCHANT_CODE_ERROR');
  const scanned = await fetch(new URL('/sandbox/scan', gateway), {
    method: 'POST',
    body: JSON.stringify({ qr_code: answer.qrCode, confirm: true }),
  });
  assert.equal(scanned.status, 200);
  assert.equal((await query('JS_CODE')).tradeStatus, 'TRADE_SUCCESS');

  assert.equal((await pay('JS_WAIT', '77.04')).code, '10003');
  assert.equal((await query('JS_WAIT')).tradeStatus, 'WAIT_BUYER_PAY');
  assert.equal((await cancel('JS_WAIT')).action, 'close');
  assert.equal((await query('JS_WAIT')).tradeStatus, 'TRADE_CLOSED');
  assert.equal((await cancel('JS_NEVER')).action, undefined);
  assert.equal((await pay('JS_POOR', '77.05')).subCode, 'ACQ.BUYER_BALANCE_NOT_ENOUGH');
  assert.equal((await pay('JS_SLASH', '1.00', { subject: 'a/b' })).subCode, 'ACQ.INVALID_PARAMETER');

  // The SDK itself must object where the signature is wrong.
  await assert.rejects(pay('JS_FORGED', '77.24'), /验签/);
  console.log('node SDK: ok');
})().catch((error) => {
  console.error('node SDK:', error);
  process.exit(1);
});
