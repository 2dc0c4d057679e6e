#!/usr/bin/env node
// Takes one payment from tilld. Node's own library is all it needs.
//
//     [AUTH_CODE=2800...] node pay.mjs ORDER AMOUNT SUBJECT   (socket: $TILLD_SOCKET)
//
// ORDER is the register's number for this payment. A real register writes it into
// its own database before it calls this, and uses the same number until it knows
// the result. Without AUTH_CODE the terminal waits for its scanner.
//
// Exit codes, as those of till: 0 taken, 10 not taken, 11 returned, 20 open or unknown (do
// not charge again), 2 wrong usage, 3 no daemon.

import http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

const SOCKET = process.env.TILLD_SOCKET || "/run/tilld/tilld.sock";
const WAIT = 60; // how long one request waits for the end of the payment
const TIMEOUT = WAIT + 15; // always longer than WAIT, or the answer is thrown away
const GIVE_UP = 180; // after so long the cashier is told that the result is unknown

const EXIT = { taken: 0, none: 10, returned: 11, unknown: 20 };
const LANGUAGE = (process.env.LANG ?? "").startsWith("zh") ? "zh" : "en";

/** One blocking request: the HTTP status, and a payment or a problem. */
function put(order, body) {
  return new Promise((resolve, reject) => {
    const request = http.request({
      socketPath: SOCKET,
      method: "PUT",
      path: `/v1/payments/${order}?wait=${WAIT}`,
      headers: { "Content-Type": "application/json" },
      agent: false,
      timeout: TIMEOUT * 1000,
    });
    request.on("timeout", () => request.destroy(new Error("no answer in time")));
    request.on("error", reject);
    request.on("response", (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      response.on("error", reject);
      response.on("end", () => {
        try {
          const answer = JSON.parse(Buffer.concat(parts).toString("utf8"));
          resolve({ status: response.statusCode, answer });
        } catch (why) {
          reject(why);
        }
      });
    });
    request.end(JSON.stringify(body));
  });
}

/** The exit code, and the sentence for the cashier. */
async function pay(order, body) {
  const end = Date.now() + GIVE_UP * 1000;
  let sent = false; // whether a request may have reached the daemon
  let last = "No answer from the terminal: do not charge again, ask for this number later";
  for (;;) {
    try {
      const { status, answer } = await put(order, body);
      last = answer.cashier[LANGUAGE];
      if (status < 300 && answer.final) {
        return [EXIT[answer.money] ?? 20, last];
      }
      if (status >= 400 && !(sent && status >= 500)) {
        console.error(answer.detail);
        const faulty = [400, 413, 415, 422].includes(status) && answer.money === "none";
        return [faulty ? 2 : (EXIT[answer.money] ?? 20), last];
      }
      sent = true;
      console.error(last);
    } catch (why) {
      // Nobody listens: this request was certainly not sent.
      const absent = why.syscall === "connect";
      if (absent && !sent) {
        return [3, `Cannot reach the terminal at ${SOCKET}: ${why.message}`];
      }
      // Else the answer is lost, the payment is not: ask again.
      sent = true;
    }
    if (Date.now() > end) {
      return [20, last];
    }
    await sleep(500); // and then the same request: it never charges twice
  }
}

const [order, amount, subject, ...more] = process.argv.slice(2);
if (!/^[A-Za-z0-9_]{1,64}$/.test(order ?? "") || subject === undefined || more.length > 0) {
  console.error("usage: [AUTH_CODE=2800...] node pay.mjs ORDER AMOUNT SUBJECT");
  process.exit(2);
}
const body = { amount, subject };
if (process.env.AUTH_CODE) {
  body.auth_code = process.env.AUTH_CODE;
}
const [code, sentence] = await pay(order, body);
console.log(sentence);
process.exitCode = code;
