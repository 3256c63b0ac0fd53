#!/bin/sh
# Turns a root file system archive into a labelled ext4 image. Runs inside a namespace where it is root: everything it
# mounts and owns lives on a tmpfs that vanishes with the namespace. Takes its words from the environment:
#   ROOTFS OVERLAY MASKED ENABLED AGENT NARROW_AGENT (may be empty) HOST_KEY SETFILES SEMODULE POLICY MKE2FS IMAGE STAMP
set -eu
umask 022
root=$(dirname "$IMAGE")/root
mkdir "$root"
mount -t tmpfs -o mode=755,size=3g buslab-root "$root"

echo "step unpack"
tar -C "$root" --numeric-owner --exclude='./dev/*' -xpf "$ROOTFS"

echo "step customise"
rm -f "$root"/etc/ssh/ssh_host_* "$root"/etc/apt/sources.list "$root"/etc/apt/sources.list.d/*
tar -C "$OVERLAY" --owner=0 --group=0 --mode='u=rwX,go=rX' -cf - . | tar -C "$root" --numeric-owner --no-overwrite-dir -xpf -
install -o 0 -g 0 -m 755 "$AGENT" "$root/usr/lib/buslab/agent"
[ -z "$NARROW_AGENT" ] || install -o 0 -g 0 -m 755 "$NARROW_AGENT" "$root/usr/lib/buslab/agent-32"
install -o 0 -g 0 -m 600 "$HOST_KEY" "$root/etc/ssh/ssh_host_ed25519_key"
install -o 0 -g 0 -m 644 "$HOST_KEY.pub" "$root/etc/ssh/ssh_host_ed25519_key.pub"
install -o 0 -g 0 -m 700 -d "$root/root/.ssh"

units=$root/etc/systemd/system
for unit in $(sed 's/#.*//' "$MASKED"); do
	rm -f "$units/$unit"
	ln -s /dev/null "$units/$unit"
done
sed 's/#.*//' "$ENABLED" | while read -r unit target; do
	[ -n "$unit" ] || continue
	mkdir -p "$units/$target.wants"
	ln -sf "../$unit" "$units/$target.wants/$unit"
done
# A dead link to a masked unit only costs systemd a look at boot.
find "$units" -path '*.wants/*' -type l | while read -r link; do
	[ "$(readlink "$units/$(basename "$link")" || true)" != /dev/null ] || rm "$link"
done

contexts=$root/etc/selinux/default/contexts/files/file_contexts
if [ -n "$SETFILES" ] && [ -n "$SEMODULE" ] && [ -f "$contexts" ]; then
	# The suite's own types are linked into Debian's policy here: in the guest that would take a minute at each boot.
	echo "step policy"
	"$SEMODULE" -n -p "$root" -s default -i "$POLICY"
	echo "step label"
	# setfiles reads file_contexts.local and the .subs files beside it by itself
	"$SETFILES" -q -r "$root" "$contexts" "$root"
	echo "fact labels yes"
else
	echo "fact labels no"
fi

echo "step write"
used=$(du -sk "$root" | cut -f1)
# A quarter more for the file system's own tables, and room for what tests write.
size=$((used + used / 4 + 128 * 1024))
# Inode tables are written here: the kernel would do it in the background, in every clone anew.
E2FSPROGS_FAKE_TIME=$STAMP "$MKE2FS" -q -t ext4 -O ^has_journal -m 0 -L buslab -U 6275736c-6162-4000-8000-000000000001 \
	-E hash_seed=6275736c-6162-4000-8000-000000000002,root_owner=0:0,lazy_itable_init=0 -d "$root" "$IMAGE" "${size}k"
echo "fact usedKiB $used"
umount "$root"
rmdir "$root"
