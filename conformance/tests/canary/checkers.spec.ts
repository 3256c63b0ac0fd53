import { test } from "../../support/index.ts";
import { loadTrouble, makeTrouble, type Trouble } from "./trouble.ts";

/*
 * One planted fault for each checker of a debug kernel. They run on debug targets only, in the queue of every run there: a
 * checker that is compiled in but says nothing, or says it where nobody listens, makes the verdict undecided.
 */
const PLANTED: readonly (readonly [word: Trouble, kind: string, what: string])[] = [
  ["uaf", "kasan", "memory used after it was freed"],
  ["overflow", "kasan", "a byte written behind an allocation"],
  ["deadlock", "lockdep", "two locks taken in both orders"],
  ["rcu", "lockdep", "an RCU pointer used without protection"],
  ["sleep", "atomic-sleep", "sleeping under a spinlock"],
  ["shift", "ubsan", "a shift by too many bits"],
  ["bounds", "ubsan", "an index behind an array"],
  ["list", "list-corruption", "an entry removed from a list twice"],
  ["object", "warn", "a running timer freed"],
  ["leak", "leak", "memory that nothing points to any more"],
];

for (const [word, kind, what] of PLANTED) {
  const annotation = [
    { type: "canary", description: `crashed: ${kind}` },
    { type: "build", description: "debug" },
  ];

  test.fail(`${what} is called ${kind}`, { annotation }, async ({ agent }) => {
    await loadTrouble(agent);

    await makeTrouble(agent, word);

    await agent.ping();
  });
}
