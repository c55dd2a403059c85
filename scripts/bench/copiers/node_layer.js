// A copier without a store on a Node client from npm: NODE_EXTRA_CA_CERTS=ca.pem node node_layer.js WORK_FILE
"use strict";

const fs = require("fs");
const path = require("path");
const { createRequire } = require("module");

const { CTraderConnection } = createRequire(path.join(process.env.CLIENT_FOLDER, "package.json"))("@reiryoku/ctrader-layer");
const work = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
const connection = new CTraderConnection({ host: work.host, port: work.port });
let held = 0;

const send = (name, fields) => connection.sendCommand(name, { ctidTraderAccountId: work.follower, ...fields }).catch(() => {});

connection.on("ProtoOAExecutionEvent", (wrapped) => {
  const event = wrapped.descriptor || wrapped;
  if (event.executionType !== "ORDER_FILLED" && Number(event.executionType) !== 3) {
    return;
  }
  if (Number(event.ctidTraderAccountId) === work.follower) {
    held = event.position.positionId;
  } else if (event.order.closingOrder) {
    send("ProtoOAClosePositionReq", { positionId: held, volume: work.volume });
  } else {
    send("ProtoOANewOrderReq", { symbolId: work.symbol, orderType: 1, tradeSide: event.order.tradeData.tradeSide, volume: work.volume });
  }
});

(async () => {
  await connection.open();
  await connection.sendCommand("ProtoOAApplicationAuthReq", { clientId: work.client_id, clientSecret: work.client_secret });
  for (const name of ["leader", "follower"]) {
    await connection.sendCommand("ProtoOAAccountAuthReq", { ctidTraderAccountId: work[name], accessToken: work[`${name}_token`] });
  }
  console.log("ready");
})();
