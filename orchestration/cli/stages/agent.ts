import { AgentClient } from "../../guest/agent-client.ts";
import type { ConnectAgent } from "../../vm/guest-agent.ts";

/** The guest agent's client in the shape that machines ask for; the layers below the guest's do not know it. */
export const connectAgent: ConnectAgent = async (socketPath, options) => {
  const client = await AgentClient.connect(socketPath, options);
  return {
    ping: async (limit) => void (await client.ping(limit)),
    restored: (input) => client.restored(input),
    rehearse: (limit) => client.rehearse(limit),
    mark: (line, limit) => client.mark(line, limit),
    exec: (argv, limit) => client.exec(argv, limit),
    writeFile: (path, data, input) => client.writeFile(path, data, input),
    readFile: (path, limit) => client.readFile(path, limit),
    insmod: (path, limit) => client.insmod(path, limit),
    kernelLog: (limit) => client.kernelLog(limit),
    close: () => client.close(),
  };
};
