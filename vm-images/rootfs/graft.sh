#!/bin/sh
# Makes a configured root file system of another architecture without running a line of its code: what the packages' own
# scripts made natively (/etc, /var, owners, modes, links) with the programs and libraries of the other architecture.
# Runs inside a namespace where it is root. Takes its words from the environment:
#   NATIVE FOREIGN         archives: configured, and only unpacked
#   NATIVE_LIBS FOREIGN_LIBS   names of their library folders, e.g. x86_64-linux-gnu
#   NATIVE_DEBIAN FOREIGN_DEBIAN   Debian's names of the architectures
#   NATIVE_ELF             number of the native machine in an ELF header
#   LEFT_OUT               patterns of paths below / that no image has
#   OUT                    the archive to write
set -eu
umask 022
work=$(dirname "$OUT")/graft
n=$work/native
f=$work/foreign
mkdir "$work"
mount -t tmpfs -o mode=755,size=4g buslab-graft "$work"
mkdir "$n" "$f"

echo "step unpack"
tar -C "$n" --numeric-owner --exclude='./dev/*' -xpf "$NATIVE"
set -f # the patterns are tar's, not this shell's
set --
for pattern in $LEFT_OUT; do set -- "$@" "--exclude=.$pattern"; done
set +f
tar -C "$f" --numeric-owner --exclude='./dev/*' "$@" -xpf "$FOREIGN"
# The packages still hold /bin, /lib and /sbin; a configured system has them below /usr.
for top in bin sbin lib lib32 lib64 libx32; do
	[ -d "$f/$top" ] && [ ! -L "$f/$top" ] || continue
	mkdir -p "$f/usr/$top"
	cp -a --link "$f/$top/." "$f/usr/$top/"
	rm -r "${f:?}/$top"
done

echo "step compare"
# path, type, mode, owner, group of everything below /usr that is no folder
list() { (cd "$1" && find usr ! -type d -printf '%p\t%y\t%m\t%U\t%G\n' | LC_ALL=C sort); }
list "$n" >"$work/n"
list "$f" >"$work/f"
cut -f1 "$work/n" >"$work/n.paths"
cut -f1 "$work/f" >"$work/f.paths"

# Ours alone: links and caches that scripts made stay, code and libraries of the native architecture go.
LC_ALL=C comm -23 "$work/n.paths" "$work/f.paths" >"$work/alone"
grep -E "/$NATIVE_LIBS(/|\$)|^usr/s?bin/[^/]*$NATIVE_LIBS" "$work/alone" >"$work/remove" || true
# Regular files only: an alternative's link would be followed into this host.
LC_ALL=C join -t "$(printf '\t')" "$work/alone" "$work/n" | awk -F '\t' '$2 == "f" { print $1 }' >"$work/alone.files"
(cd "$n" && xargs -d '\n' -r env LC_ALL=C grep -lasP '^\x7fELF') <"$work/alone.files" | grep -vE "$NATIVE_LIBS|^usr/lib(32|64|x32)?/ld-" >"$work/lost" || true
if [ -s "$work/lost" ]; then
	echo "the packages of $FOREIGN_DEBIAN lack $(wc -l <"$work/lost") programs that $NATIVE_DEBIAN has: $(head -n 5 "$work/lost" | tr '\n' ' ')" >&2
	exit 1
fi
(cd "$n" && find usr -type l -lname "*$NATIVE_LIBS*") | LC_ALL=C sort | LC_ALL=C comm -12 - "$work/alone" >>"$work/remove"
# What a package of ours has and the other's leaves out, no script made: sysctl.d/50-pid-max.conf is for 64 bits alone.
cat "$n"/var/lib/dpkg/info/*.list | sed -E 's,^/(s?bin|lib|lib32|lib64|libx32)/,/usr/\1/,; s,^/,,' | LC_ALL=C sort -u | LC_ALL=C comm -12 - "$work/alone" >>"$work/remove"
(cd "$n" && xargs -d '\n' -r rm -f) <"$work/remove"
find "$n/usr" -depth -path "*/$NATIVE_LIBS*" -type d -empty -delete

# In both: the other's content; of equal type only, for a link instead of a file is a script's doing.
LC_ALL=C join -t "$(printf '\t')" "$work/n" "$work/f" >"$work/both"
awk -F '\t' '$2 == "f" && $6 == "f" { print $1 }' "$work/both" >"$work/take"
LC_ALL=C comm -13 "$work/n.paths" "$work/f.paths" >>"$work/take"
(cd "$f" && find usr -type d) | LC_ALL=C sort >"$work/f.folders"
(cd "$n" && find usr -type d) | LC_ALL=C sort >"$work/n.folders"
LC_ALL=C comm -13 "$work/n.folders" "$work/f.folders" >>"$work/take"

echo "step graft"
tar -C "$f" --no-recursion --numeric-owner -T "$work/take" -cf - | tar -C "$n" --numeric-owner --no-overwrite-dir -xpf -
# Owners and modes that scripts gave, set-user-id among them: the owner first, since changing it clears those bits.
awk -F '\t' '$2 == "f" && $6 == "f" && ($3 != $7 || $4 != $8 || $5 != $9) { print $3, $4 ":" $5, $1 }' "$work/both" | while read -r mode owner path; do
	chown "$owner" "$n/$path"
	chmod "$mode" "$n/$path"
done

# Files of /etc that carry the architecture in their name, and the loader's cache of native libraries.
find "$n/etc" -name "*$NATIVE_LIBS*" -exec rm -r {} +
(cd "$f" && find etc -name "*$FOREIGN_LIBS*" ! -type d) | tar -C "$f" --no-recursion -T - -cf - | tar -C "$n" --numeric-owner --no-overwrite-dir -xpf -
rm -f "$n/etc/ld.so.cache" "$n/var/cache/ldconfig/aux-cache"

# dpkg in the guest must not tell of packages that are not there.
info=$n/var/lib/dpkg
sed -i "s/^Architecture: $NATIVE_DEBIAN\$/Architecture: $FOREIGN_DEBIAN/" "$info/status"
echo "$FOREIGN_DEBIAN" >"$info/arch"
rm -f "$info"/info/*:"$NATIVE_DEBIAN".md5sums
sed -i "s:/$NATIVE_LIBS:/$FOREIGN_LIBS:" "$info"/info/*:"$NATIVE_DEBIAN".list

# Proof: not one native program is left.
elf() { find "$n" -type f -size +63c -print0 | xargs -0 env LC_ALL=C grep -laP "^\\x7fELF$1" || true; }
elf ".{14}\\x$(printf %02x "$NATIVE_ELF")\\x00" >"$work/strays"
if [ -s "$work/strays" ]; then
	echo "the graft left programs of $NATIVE_DEBIAN: $(head -n 5 "$work/strays" | tr '\n' ' ')" >&2
	exit 1
fi
echo "fact programs $(elf '' | wc -l)"
echo "fact removed $(wc -l <"$work/remove")"
echo "fact grafted $(wc -l <"$work/take")"

echo "step write"
tar -C "$n" --sort=name --numeric-owner --transform="s,^\(./var/lib/dpkg/info/.*\):$NATIVE_DEBIAN\.,\1:$FOREIGN_DEBIAN.," -cf "$OUT" .
umount "$work"
rmdir "$work"
