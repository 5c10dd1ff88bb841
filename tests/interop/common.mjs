// What both clients are asked; each passes functions in its own style.
import assert from "node:assert/strict";

export const host = process.argv[2] ?? "10.77.0.1";
export const port = Number(process.argv[3] ?? 6379);

let passed = 0;
export async function step(name, run) {
  try {
    await run();
    passed++;
    console.log(`ok   ${name}`);
  } catch (e) {
    console.error(`FAIL ${name}: ${e.stack}`);
    process.exitCode = 1;
  }
}
export function done(client) {
  console.log(`${client}: ${passed} steps passed`);
}
export { assert };

// Bytes of every value, so that nothing in between may take them for text.
export const binary = Buffer.from(Array.from({ length: 1024 }, (_, i) => i & 255));
export const large = Buffer.alloc(3 * 1024 * 1024, "slotwire ");
