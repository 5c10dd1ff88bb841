import { commandOptions, createClient } from "redis";
import { assert, binary, done, host, large, port, step } from "./common.mjs";

const client = createClient({ socket: { host, port } });
client.on("error", (e) => { console.error(`FAIL ${e}`); process.exit(1); });
await client.connect();
await client.flushAll();

await step("strings", async () => {
  assert.equal(await client.set("s", "1", { EX: 100, NX: true }), "OK");
  assert.equal(await client.set("s", "2", { NX: true }), null);
  assert.equal(await client.incrBy("s", 41), 42);
  assert.equal(await client.getEx("s", { PERSIST: true }), "42");
  assert.equal(await client.ttl("s"), -1);
});
await step("binary and large values", async () => {
  await client.set("b", binary);
  assert.ok(binary.equals(await client.get(commandOptions({ returnBuffers: true }), "b")));
  await client.set("l", large.toString());
  assert.equal(await client.get("l"), large.toString());
});
await step("hashes, lists, sets", async () => {
  await client.hSet("h", { name: "Ada", lang: "C" });
  assert.deepEqual({ ...(await client.hGetAll("h")) }, { name: "Ada", lang: "C" });
  await client.rPush("q", ["a", "b", "c"]);
  assert.deepEqual(await client.lRange("q", 0, -1), ["a", "b", "c"]);
  await client.sAdd("t", ["1", "2", "3"]);
  assert.deepEqual((await client.sMembers("t")).sort(), ["1", "2", "3"]);
});
await step("transactions", async () => {
  assert.deepEqual(await client.multi().set("x", "1").incr("x").get("x").exec(), ["OK", 2, "2"]);
});
await step("scan iterators", async () => {
  for (let i = 0; i < 500; i++) client.set(`p:${i}`, `${i}`);
  const seen = new Set();
  for await (const key of client.scanIterator({ MATCH: "p:*", COUNT: 50 })) seen.add(key);
  assert.equal(seen.size, 500);
});
await step("publish and subscribe", async () => {
  const sub = client.duplicate();
  await sub.connect();
  const message = new Promise((resolve) => sub.subscribe("news", resolve));
  while ((await client.publish("news", "hello")) === 0) await new Promise((r) => setTimeout(r, 10));
  assert.equal(await message, "hello");
  await sub.quit();
});
await step("client commands", async () => {
  await client.clientSetName("interop");
  assert.equal(await client.clientGetName(), "interop");
  assert.ok((await client.clientId()) > 0);
  assert.ok((await client.sendCommand(["CLIENT", "LIST"])).includes("name=interop"));
});
await step("errors arrive as errors", async () => {
  await assert.rejects(client.incr("h"), /WRONGTYPE/);
});
await client.quit();
done("node-redis");
