import { covers, expect, payloadText, test, type Connection } from "../../support/index.ts";

test("MATCH-009 of 80 connections the 40 whose matches fit get a signal, each once and whole", covers("MATCH-009", "MATCH-001"), async ({ bus, spawn }) => {
  const sender = await bus.connect();
  const process = await spawn({ label: "crowd" });
  const crowd: { readonly connection: Connection; readonly listens: boolean }[] = [];
  for (let index = 0; index < 80; index++) {
    const [connection, listens] = [await bus.connect({ by: process, pool: 16_384 }), index % 2 === 0];
    if (listens) await connection.addMatch([]);
    crowd.push({ connection, listens });
  }

  for (const text of ["first", "second"]) await sender.broadcast({ payload: text });

  const seen: string[][] = [];
  for (const { connection } of crowd) {
    const messages = await connection.recvAll();
    seen.push(messages.filter(({ header }) => header.src_id === sender.id).map(payloadText));
  }
  expect(seen).toEqual(crowd.map(({ listens }) => (listens ? ["first", "second"] : [])));
});
