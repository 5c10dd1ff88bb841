// Writes known sequences through ioredis' cluster mode until its input ends, then reads everything back.
// usage: ioredis_cluster.mjs HOST TAG…: the keys' hash tags
import assert from "node:assert/strict";
import Redis from "ioredis";

const [host, ...tags] = process.argv.slice(2);
const cluster = new Redis.Cluster([{ host, port: 6379 }], {
  redisOptions: { maxRetriesPerRequest: 1 },
  maxRedirections: 200,
  retryDelayOnTryAgain: 5,
  // A cluster that is down, or a node that is not there, is an error: nothing fails in this test.
  retryDelayOnClusterDown: 0,
  retryDelayOnFailover: 0,
});
const redirection = /^(MOVED|ASK|TRYAGAIN) /;
const counts = tags.map(() => ({ strings: 0, list: 0, pairs: 0, piped: 0 }));
let redirected = 0;
let stopping = false;
process.stdin.on("end", () => { stopping = true; }).resume();

async function singles(tag, count) {
  while (!stopping) {
    const n = count.strings + 1;
    assert.equal(await cluster.set(`io:set:{${tag}}`, n), "OK");
    assert.equal(await cluster.incr(`io:incr:{${tag}}`), n);
    count.strings = n;
    // A key of its own for each: it is missing at first, so a slot that moves answers ASK.
    assert.equal(await cluster.set(`io:new:${n % 100}:{${tag}}`, n), "OK");
    assert.equal(await cluster.rpush(`io:list:{${tag}}`, n), n);
    count.list = n;
  }
}
// ioredis follows MOVED and ASK here; where it gives up, nothing was done, and the application asks again.
async function transactions(tag, count) {
  while (!stopping) {
    const n = count.pairs;
    try {
      const replies = await cluster.multi().incr(`io:a:{${tag}}`).rpush(`io:b:{${tag}}`, n).exec();
      assert.deepEqual(replies, [[null, n + 1], [null, n + 1]]);
      count.pairs++;
    } catch (error) {
      assert.match([error, ...(error.previousErrors ?? [])].find((e) => !/^EXECABORT /.test(e.message))?.message, redirection);
      redirected++;
    }
  }
}
// Where a part of a pipeline was redirected, ioredis hands the errors on; the application repeats those commands.
async function pipelines(tag, count) {
  while (!stopping) {
    const pipeline = cluster.pipeline();
    for (let i = 0; i < 20; i++) pipeline.incr(`io:piped:{${tag}}`);
    for (const [error] of await pipeline.exec()) {
      if (error) {
        assert.match(error.message, redirection);
        redirected++;
        await cluster.incr(`io:piped:{${tag}}`);
      }
      count.piped++;
    }
  }
}
async function verify(tag, count) {
  assert.equal(await cluster.get(`io:set:{${tag}}`), String(count.strings));
  assert.equal(await cluster.get(`io:incr:{${tag}}`), String(count.strings));
  for (let n = Math.max(1, count.strings - 99); n <= count.strings; n++)
    assert.equal(await cluster.get(`io:new:${n % 100}:{${tag}}`), String(n));
  const numbers = (from, to) => Array.from({ length: to - from }, (_, i) => String(from + i));
  assert.deepEqual(await cluster.lrange(`io:list:{${tag}}`, 0, -1), numbers(1, count.list + 1));
  assert.equal(await cluster.get(`io:a:{${tag}}`), String(count.pairs));
  assert.deepEqual(await cluster.lrange(`io:b:{${tag}}`, 0, -1), numbers(0, count.pairs));
  assert.equal(await cluster.get(`io:piped:{${tag}}`), String(count.piped));
}

const writers = tags.flatMap((tag, i) => [singles, transactions, pipelines].map((f) => f(tag, counts[i])));
await Promise.all(writers);
await Promise.all(tags.map((tag, i) => verify(tag, counts[i])));
for (const c of counts) assert.ok(Object.values(c).every((n) => n > 0));
console.log(`ioredis: ${JSON.stringify(counts)}, ${redirected} redirections seen by the application`);
cluster.disconnect();
