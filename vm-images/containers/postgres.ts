import { join } from "node:path";
import { SuiteError } from "../../orchestration/base/errors.ts";
import { ROOT } from "../../orchestration/base/paths.ts";
import { nativeArch } from "../../orchestration/target/arches.ts";
import { type BuildContext, obtain } from "../cache.ts";
import { readAptSources, sourcesFor } from "../rootfs/apt-sources.ts";
import { CODENAME, runMmdebstrap } from "../rootfs/mmdebstrap.ts";
import { importImage } from "./engine.ts";

const RECIPE = 1;
const PACKAGES = ["postgresql"];
const HOOKS = [
  // The package would make a cluster that nobody uses.
  `--essential-hook=mkdir -p "$1/etc/postgresql-common" && echo "create_main_cluster = false" >"$1/etc/postgresql-common/createcluster.conf"`,
  // Debian's command in /usr/bin is a wrapper in Perl; a health check that runs four times a second should be the program itself.
  `--customize-hook=chroot "$1" sh -c "ln -s /usr/lib/postgresql/*/bin/pg_isready /usr/local/bin/pg_isready"`,
];

/** Where the image looks for its entry, and the file to be copied there: it is no part of the image, so that changing it costs no new one. */
export const POSTGRES_ENTRY = { source: join(ROOT, "vm-images/containers/postgres-entry.sh"), target: "/usr/local/bin/docker-entrypoint.sh", mode: 0o755 };

/**
 * The image of a PostgreSQL server of Debian's packages, made here because a lab may reach no registry; it is imported into
 * the engine that the `docker` command speaks to, once.
 * @returns its name and tag
 * @throws HOST_TOOL_MISSING | HOST_NETWORK | IMAGE_BUILD_FAILED
 */
export async function postgresImage(ctx: BuildContext): Promise<string> {
  const arch = nativeArch();
  if (arch === undefined) throw new SuiteError("HOST_TOOL_MISSING", `no container image can be made on a ${process.arch} host`);
  const wish = { sources: sourcesFor(CODENAME, await readAptSources(), process.env["BUSLAB_DEBIAN_MIRROR"]), packages: PACKAGES };
  const inputs = { packages: PACKAGES.join(" "), "Debian suites": wish.sources.map((source) => source.suite).join(" "), hooks: HOOKS.join("\n") };
  const artifact = await obtain(
    "rootfs",
    { subject: `${arch.id}/container-postgresql`, recipe: RECIPE, inputs, tools: {} },
    async (dir, step) => {
      const facts = await runMmdebstrap(arch, wish, join(dir, "rootfs.tar"), ctx, (line) => (line.startsWith("I: ") ? step.update(line.slice(3, 80)) : undefined), [
        "--variant=minbase",
        ...HOOKS,
      ]);
      return { outputs: ["rootfs.tar"], facts: { ...facts } };
    },
    { title: "container image of PostgreSQL", needsBytes: 1024 * 1024 * 1024, keep: 1 },
    ctx,
  );
  const name = `buslab/postgres:${artifact.key}`;
  await importImage(name, join(artifact.dir, "rootfs.tar"), [`ENTRYPOINT ["${POSTGRES_ENTRY.target}"]`, "EXPOSE 5432"]);
  return name;
}
