// A full session with a Node client from npm, unmodified.
//
//     NODE_EXTRA_CA_CERTS=ca.pem node node_layer.js READY_FILE      one JSON line a step; exit 0 at the session's end
//
// The layer answers an order's promise at once with nothing, so outcomes are waited for among the events.
"use strict";

const fs = require("fs");
const path = require("path");
const { createRequire } = require("module");

const local = createRequire(path.join(process.env.CLIENT_FOLDER, "package.json"));
const { CTraderConnection } = local("@reiryoku/ctrader-layer");

const ready = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
const account = ready.accounts[2];
const ctid = account.ctid;
const STEP_MS_MAX = 20000;

const say = (step, facts = {}) => console.log(JSON.stringify({ step, ...facts }));
const number = (value) => Number(value); // 64-bit numbers come as strings

const seen = [];
const waiting = [];

function note(kind) {
  return (event) => {
    const entry = { kind, message: event.descriptor || event };
    seen.push(entry);
    for (const one of waiting.slice()) {
      if (one.predicate(entry)) {
        waiting.splice(waiting.indexOf(one), 1);
        clearTimeout(one.timer);
        one.resolve(entry.message);
      }
    }
  };
}

function until(what, predicate) {
  const found = seen.find(predicate);
  if (found) {
    return Promise.resolve(found.message);
  }
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`nothing came for: ${what}`)), STEP_MS_MAX);
    waiting.push({ predicate, resolve, timer });
  });
}

const is = (value, name, numeric) => value === name || number(value) === numeric; // enums come as names or numbers
const TYPES = { ORDER_ACCEPTED: 2, ORDER_FILLED: 3, ORDER_REPLACED: 4, ORDER_CANCELLED: 5 };
const executed = (id, type) =>
  until(`${type} of ${id}`, (e) => e.kind === "execution" && e.message.clientMsgId === id && is(e.message.executionType, type, TYPES[type]));
const refused = (id) => until(`refusal of ${id}`, (e) => e.kind === "error" && e.message.clientMsgId === id);

async function session() {
  const connection = new CTraderConnection({ host: ready.host, port: ready.port });
  connection.on("ProtoOAExecutionEvent", note("execution"));
  connection.on("ProtoOAOrderErrorEvent", note("error"));
  connection.on("ProtoOASpotEvent", note("spot"));
  await connection.open();
  const send = (name, fields = {}, id = undefined) => connection.sendCommand(name, fields, id);
  const forAccount = (name, fields = {}, id = undefined) => send(name, { ctidTraderAccountId: ctid, ...fields }, id);
  connection.sendHeartbeat();
  await send("ProtoOAApplicationAuthReq", { clientId: ready.client_id, clientSecret: ready.client_secret });
  say("application");
  const version = await send("ProtoOAVersionReq");
  say("version", { version: version.version });
  const accounts = await send("ProtoOAGetAccountListByAccessTokenReq", { accessToken: account.access_token });
  say("accounts", { count: accounts.ctidTraderAccount.length, mine: accounts.ctidTraderAccount.some((a) => number(a.ctidTraderAccountId) === ctid) });
  const wrong = await forAccount("ProtoOAAccountAuthReq", { accessToken: "wrong" }).catch((error) => error);
  say("wrong token", { code: wrong.errorCode });
  await forAccount("ProtoOAAccountAuthReq", { accessToken: account.access_token });
  const trader = await forAccount("ProtoOATraderReq");
  say("trader", { login: number(trader.trader.traderLogin) });
  const listed = await forAccount("ProtoOASymbolsListReq");
  const light = listed.symbol.find((s) => s.symbolName.startsWith("EURUSD"));
  const full = (await forAccount("ProtoOASymbolByIdReq", { symbolId: [light.symbolId] })).symbol[0];
  say("symbol", { name: light.symbolName, digits: full.digits });
  await forAccount("ProtoOASubscribeSpotsReq", { symbolId: [light.symbolId] });
  const spot = await until("spot", (e) => e.kind === "spot" && number(e.message.bid) > 0 && number(e.message.ask) > 0);
  say("first spot", { isSane: number(spot.bid) <= number(spot.ask) });
  const volume = number(full.minVolume) * 4;
  const price = (factor) => Number(((number(spot.bid) / 100000) * factor).toFixed(full.digits));
  const order = (id, fields) => forAccount("ProtoOANewOrderReq", { symbolId: light.symbolId, tradeSide: 1, volume, ...fields }, id);
  order("n-market", { orderType: 1, label: "node" });
  const accepted = await executed("n-market", "ORDER_ACCEPTED");
  const filled = await executed("n-market", "ORDER_FILLED");
  const position = number(filled.position.positionId);
  say("order market", { same: number(accepted.position.positionId) === position, volume: number(filled.deal.filledVolume) === volume });
  order("n-levels", { orderType: 1, tradeSide: 2, relativeStopLoss: 1000, relativeTakeProfit: 2000 });
  const levelled = await executed("n-levels", "ORDER_FILLED");
  const protective = await until("protective order", (e) => e.kind === "execution" && is(e.message.order.orderType, "STOP_LOSS_TAKE_PROFIT", 4));
  say("protective order", { stopLoss: protective.position.stopLoss > protective.position.price });
  order("n-range", { orderType: 5, baseSlippagePrice: price(1), slippageInPoints: 1000 });
  const ranged = await executed("n-range", "ORDER_FILLED");
  say("order range");
  order("n-limit", { orderType: 2, limitPrice: price(0.98) });
  order("n-stop", { orderType: 3, stopPrice: price(1.02) });
  order("n-stop-limit", { orderType: 6, stopPrice: price(1.02), slippageInPoints: 20 });
  const placed = {};
  for (const name of ["limit", "stop", "stop-limit"]) {
    placed[name] = number((await executed(`n-${name}`, "ORDER_ACCEPTED")).order.orderId);
    say(`order ${name}`);
  }
  forAccount("ProtoOAAmendOrderReq", { orderId: placed.limit, volume, limitPrice: price(0.97) }, "n-amend");
  const amended = await executed("n-amend", "ORDER_REPLACED");
  say("amend order", { same: number(amended.order.orderId) === placed.limit });
  forAccount("ProtoOAAmendPositionSLTPReq", { positionId: position, stopLoss: price(0.98) }, "n-sltp");
  const moved = await executed("n-sltp", "ORDER_ACCEPTED");
  say("amend position", { stopLoss: moved.position.stopLoss === price(0.98) });
  forAccount("ProtoOAClosePositionReq", { positionId: position, volume: number(full.minVolume) }, "n-part");
  const part = await executed("n-part", "ORDER_FILLED");
  say("partial close", { left: number(part.position.tradeData.volume) === volume - number(full.minVolume) });
  const state = await forAccount("ProtoOAReconcileReq");
  say("reconcile", { positions: state.position.length, orders: state.order.length });
  order("n-r1", { orderType: 1, volume: 1 });
  say("refused: volume below the minimum", { code: (await refused("n-r1")).errorCode });
  forAccount("ProtoOACancelOrderReq", { orderId: 1 }, "n-r2");
  say("refused: cancel of an unknown order", { code: (await refused("n-r2")).errorCode });
  forAccount("ProtoOAClosePositionReq", { positionId: 1, volume }, "n-r3");
  say("refused: close of an unknown position", { code: (await refused("n-r3")).errorCode });
  const rest = [
    [position, volume - number(full.minVolume)],
    [number(levelled.position.positionId), volume],
    [number(ranged.position.positionId), volume],
  ];
  for (const [id, left] of rest) {
    forAccount("ProtoOAClosePositionReq", { positionId: id, volume: left }, `n-close-${id}`);
    const closed = await executed(`n-close-${id}`, "ORDER_FILLED");
    say("close", { volume: number(closed.position.tradeData.volume) });
  }
  for (const name of Object.keys(placed)) {
    forAccount("ProtoOACancelOrderReq", { orderId: placed[name] }, `n-cancel-${name}`);
    await executed(`n-cancel-${name}`, "ORDER_CANCELLED");
    say(`cancel ${name}`);
  }
  const now = Date.now();
  const deals = await forAccount("ProtoOADealListReq", { fromTimestamp: now - 3600000, toTimestamp: now + 60000 });
  say("deals", { enough: deals.deal.length >= 7 });
  const end = await forAccount("ProtoOAReconcileReq");
  say("end", { positions: end.position.length, orders: end.order.length });
  connection.close();
  say("done");
}

const limit = setTimeout(() => {
  console.error("the session did not end in time");
  process.exit(1);
}, 120000);
session().then(
  () => {
    clearTimeout(limit);
    process.exit(0);
  },
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
