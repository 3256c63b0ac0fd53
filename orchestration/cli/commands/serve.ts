import { resolve } from "node:path";
import { Command } from "commander";
import { parseAddress } from "../../api/listen.ts";
import { serveCentre } from "../../api/server.ts";
import { EXIT } from "../../base/exit-codes.ts";
import { WAIVERS_FILE } from "../../plan/index.ts";
import { print } from "../output.ts";

/** The results centre: HTTP API, live runs and dashboard over the results database. */
export const serve = new Command("serve")
  .description("the results centre: API and dashboard over the results database")
  .option("--listen <address>", "host and port", "127.0.0.1:8420")
  .option("--public-read", "reading needs no token")
  .option("--name <host...>", "further host names by which browsers may call it")
  .option("--behind-tls", "a proxy in front speaks TLS: cookies are marked Secure")
  .option("--waivers <file>", "list of waivers", WAIVERS_FILE)
  .action(async (options: { listen: string; publicRead?: boolean; name?: string[]; behindTls?: boolean; waivers: string }) => {
    const stop = new AbortController();
    // SIGTERM is how services are asked to end: done as asked is 0. Ctrl-C is an interruption, as everywhere.
    const end = (signal: NodeJS.Signals): void => {
      if (stop.signal.aborted) process.exit(EXIT.interrupted);
      process.exitCode = signal === "SIGINT" ? EXIT.interrupted : EXIT.conformant;
      process.stderr.write(`buslab: ${signal}, finishing what is being answered; once more to end at once\n`);
      stop.abort();
    };
    process.on("SIGINT", end);
    process.on("SIGTERM", end);
    await serveCentre({
      address: parseAddress(options.listen),
      publicRead: options.publicRead === true,
      names: options.name ?? [],
      behindTls: options.behindTls === true,
      waiversFile: resolve(options.waivers),
      signal: stop.signal,
      log: (line) => process.stderr.write(`buslab: ${line}\n`),
      onReady: ({ url, store, tokens }) => {
        print(`results centre at ${url}, database ${store}`);
        if (tokens === 0 && options.publicRead !== true) print("no token is known yet and reading needs one: ./buslab token create --role read --name me");
      },
    });
  });
