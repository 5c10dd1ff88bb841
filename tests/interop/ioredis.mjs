import Redis from "ioredis";
import { assert, binary, done, host, large, port, step } from "./common.mjs";

const redis = new Redis({ host, port, lazyConnect: true, maxRetriesPerRequest: 1 });
await redis.connect();
await redis.flushall();

await step("strings", async () => {
  assert.equal(await redis.set("s", "1", "EX", 100), "OK");
  assert.equal(await redis.incrby("s", 41), 42);
  assert.equal(await redis.get("s"), "42");
  assert.equal(await redis.get("none"), null);
  assert.ok((await redis.ttl("s")) > 90);
  assert.deepEqual(await redis.mget("s", "none"), ["42", null]);
});
await step("binary and large values", async () => {
  await redis.set("b", binary);
  assert.ok(binary.equals(await redis.getBuffer("b")));
  await redis.set("l", large);
  assert.ok(large.equals(await redis.getBuffer("l")));
});
await step("hashes, lists, sets", async () => {
  await redis.hset("h", { name: "Ada", lang: "C" });
  assert.deepEqual(await redis.hgetall("h"), { name: "Ada", lang: "C" });
  await redis.rpush("q", "a", "b", "c");
  assert.deepEqual(await redis.lrange("q", 0, -1), ["a", "b", "c"]);
  await redis.sadd("t", 1, 2, 3);
  assert.deepEqual((await redis.smembers("t")).sort(), ["1", "2", "3"]);
});
await step("transactions", async () => {
  assert.deepEqual(await redis.multi().set("x", "1").incr("x").get("x").exec(), [[null, "OK"], [null, 2], [null, "2"]]);
  const other = redis.duplicate();
  await redis.watch("x");
  await other.set("x", "9");
  assert.equal(await redis.multi().get("x").exec(), null);
  other.disconnect();
});
await step("pipelines", async () => {
  const p = redis.pipeline();
  for (let i = 0; i < 5000; i++) p.set(`p:${i}`, i);
  const results = await p.exec();
  assert.ok(results.every(([e, r]) => e === null && r === "OK"));
  assert.equal(await redis.get("p:4999"), "4999");
});
await step("scan stream sees every key", async () => {
  const seen = new Set();
  for await (const keys of redis.scanStream({ match: "p:*", count: 100 })) keys.forEach((k) => seen.add(k));
  assert.equal(seen.size, 5000);
});
await step("publish and subscribe", async () => {
  const sub = redis.duplicate();
  await sub.subscribe("news");
  await sub.psubscribe("ne*");
  const got = [];
  const two = new Promise((resolve) => {
    const add = (...m) => { got.push(m); if (got.length === 2) resolve(); };
    sub.on("message", add);
    sub.on("pmessage", add);
  });
  assert.equal(await redis.publish("news", "hello"), 2);
  await two;
  assert.deepEqual(got.sort((a, b) => a.length - b.length), [["news", "hello"], ["ne*", "news", "hello"]]);
  sub.disconnect();
});
await step("errors arrive as errors", async () => {
  await assert.rejects(redis.incr("h"), /WRONGTYPE/);
  await assert.rejects(redis.call("NOSUCH"), /unknown command/);
});
await step("info is parsed", async () => {
  assert.match(await redis.info(), /redis_version:7\./);
});
await redis.quit();
done("ioredis");
