/** What is asked of a machine that is reached by ssh alone: scripts for any sh with the usual small tools. */

/** Facts about the machine, one `name=value` a line. */
export const PROBE = `
echo machine=$(uname -m); echo cpus=$(nproc); echo release=$(uname -r); echo uid=$(id -u)
echo boot=$(cat /proc/sys/kernel/random/boot_id); echo taint=$(cat /proc/sys/kernel/tainted)
echo lsm=$(cat /sys/kernel/security/lsm 2>/dev/null)
set -- $(cat /proc/uptime); echo from=$1
i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done
set -- $(cat /proc/uptime); echo to=$1`;

/** How long the loop of {@link PROBE} takes on a 3 GHz core without emulation. */
export const PROBE_NATIVE_MS = 120;

/** The kernel's configuration, if it tells it. */
export const CONFIG = "zcat /proc/config.gz 2>/dev/null || cat /boot/config-$(uname -r) 2>/dev/null";

/**
 * Puts the machine back to where a test finds it: no process of the agent, no domain but a new one, the module loaded anew.
 * Ends with 3 and a line that begins with "dirty:" when the test before left what cannot be taken back.
 * @param module name of the module and its file on the machine; null: the kernel has the bus
 */
export function renewScript(dir: string, module: { readonly name: string; readonly file: string } | null): string {
  const unload = module === null ? "" : `
if [ -d /sys/module/${module.name} ]; then
  tries=0
  until rmmod ${module.name} 2>${dir}/said; do
    tries=$((tries+1)); [ $tries -lt 20 ] || { echo "dirty: the module does not unload: $(cat ${dir}/said)"; exit 3; }
    sleep 0.1
  done
fi
insmod ${module.file} 2>${dir}/said || { echo "insmod: $(cat ${dir}/said)"; exit 4; }`;
  return `
tries=0
while :; do
  left=
  for p in /proc/[0-9]*; do [ "$(readlink $p/exe 2>/dev/null)" = ${dir}/agent ] && left="$left \${p#/proc/}"; done
  [ -n "$left" ] || break
  tries=$((tries+1)); [ $tries -lt 50 ] || { echo "dirty: processes of the test before do not end:$left"; exit 3; }
  kill -9 $left 2>/dev/null; sleep 0.1
done
while read -r what where type more; do [ "$type" = kdbusfs ] && echo "$where"; done </proc/mounts >${dir}/mounts
while read -r where; do umount "$where" 2>/dev/null || umount -l "$where" || { echo "dirty: $where cannot be unmounted"; exit 3; }; done <${dir}/mounts
${unload}
[ -d /sys/fs/kdbus ] || { echo "there is no /sys/fs/kdbus: neither the kernel nor a module has the bus"; exit 5; }
mount -t kdbusfs kdbusfs /sys/fs/kdbus 2>${dir}/said || { echo "mount: $(cat ${dir}/said)"; exit 4; }
cat /proc/sys/kernel/tainted`;
}

/** Ends everything of ours there. */
export function leaveScript(dir: string, module: string | null): string {
  return `for p in /proc/[0-9]*; do [ "$(readlink $p/exe 2>/dev/null)" = ${dir}/agent ] && kill -9 \${p#/proc/}; done
umount /sys/fs/kdbus 2>/dev/null; ${module === null ? ":" : `rmmod ${module} 2>/dev/null`}; rm -rf ${dir}; true`;
}
