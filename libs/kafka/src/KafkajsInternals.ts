// oxlint-disable-next-line typescript/triple-slash-reference -- programs that import this package from its source need the declarations too
/// <reference path="./kafkajs.d.ts" />

// The one place where kafkajs' insides are touched.
export { default as Broker } from "kafkajs/src/broker/index.js"
export { default as loggers } from "kafkajs/src/loggers/index.js"
export { default as ConnectionPool } from "kafkajs/src/network/connectionPool.js"
export { default as RequestQueue } from "kafkajs/src/network/requestQueue/index.js"
export { default as makeSocketFactory } from "kafkajs/src/network/socketFactory.js"
export { default as crc32c } from "kafkajs/src/protocol/recordBatch/crc32C/index.js"
