import type { Requirement } from "./requirement.ts";

/** Requirements on the file system, its nodes and handle states. */
export const FS = [
  {
    id: "FS-001", level: "must", source: "kdbus.fs(7)",
    text: "A filesystem type named kdbusfs is registered and needs no block device.",
    verify: "/proc/filesystems has a line with nodev and kdbusfs; mount -t kdbusfs works with any source string",
  },
  {
    id: "FS-002", level: "must", source: "kdbus(7)",
    text: "Loading the module creates the empty directory /sys/fs/kdbus to mount on.",
    verify: "the directory exists after modprobe",
  },
  {
    id: "FS-003", level: "must", source: "kdbus.fs(7)",
    text: "Each mount call creates a new domain; buses made in one mount do not show up in another and may have equal names.",
    verify: "mount twice, create the same bus name in both, list both roots",
  },
  {
    id: "FS-004", level: "must", source: "implementation",
    text: "A bind mount of a kdbusfs mount shows the same domain.",
    verify: "bind-mount, then create a bus through one path and see it through the other",
  },
  {
    id: "FS-005", level: "must", source: "implementation",
    text: "kdbusfs can be mounted inside a user namespace by its owner without privilege in the initial namespace.",
    verify: "unshare user and mount namespaces, mount kdbusfs",
  },
  {
    id: "FS-006", level: "must", source: "implementation",
    text: "statfs on the mount reports type 0x44427573.",
    verify: "statfs().f_type",
  },
  {
    id: "FS-007", level: "may", source: "implementation",
    text: "Mount option strings are ignored or refused; no option is defined.",
    verify: "informational",
  },
  {
    id: "FS-008", level: "must", source: "kdbus.fs(7)",
    text: "A fresh mount holds exactly one entry, the regular file control.",
    verify: "readdir of the root",
  },
  {
    id: "FS-009", level: "must", source: "implementation",
    text: "The root directory has mode 0555 and control has mode 0666.",
    verify: "stat",
  },
  {
    id: "FS-010", level: "must", source: "kdbus.bus(7)",
    text: "A bus appears as directory with mode 0500, 0550 (ACCESS_GROUP) or 0555 (ACCESS_WORLD, with or without ACCESS_GROUP).",
    verify: "BUS_MAKE with each flag combination, stat the directory",
  },
  {
    id: "FS-011", level: "must", source: "kdbus.bus(7)",
    text: "The endpoint file bus inside a bus directory has mode 0600, 0660 or 0666 according to the same BUS_MAKE flags.",
    verify: "stat <bus>/bus for each flag combination",
  },
  {
    id: "FS-012", level: "must", source: "implementation",
    text: "Bus directory and default endpoint are owned by the effective uid and gid of the task that called BUS_MAKE.",
    verify: "create with differing real and effective ids, stat",
  },
  {
    id: "FS-013", level: "must", source: "implementation",
    text: "Directory listings report buses as directories and control and endpoints as regular files.",
    verify: "getdents d_type",
  },
  {
    id: "FS-014", level: "must", source: "implementation",
    text: "Directory listings and stat agree on inode numbers, and inode numbers are non-zero and unique in the mount.",
    verify: "compare d_ino and st_ino for all entries",
  },
  {
    id: "FS-015", level: "must", source: "implementation",
    text: "Directories have link count 2.",
    verify: "stat st_nlink of root and a bus directory",
  },
  {
    id: "FS-016", level: "must", source: "implementation",
    text: "mkdir, mknod, symlink and link of a new name fail with EPERM for a caller who may write the directory, and with EACCES for others.",
    verify: "try as root and as unprivileged user",
  },
  {
    id: "FS-017", level: "must", source: "implementation",
    text: "unlink of a file, rmdir of a bus directory and rename of either fail with EPERM for a caller who may write the parent directory, and with EACCES for others.",
    verify: "unlink control and rename a bus directory, as root and as unprivileged user",
  },
  {
    id: "FS-018", level: "must", source: "implementation",
    text: "open with O_CREAT on a missing name fails with EACCES, even for root.",
    verify: "open(root/foo, O_CREAT|O_RDWR)",
  },
  {
    id: "FS-019", level: "must", source: "implementation",
    text: "Opening a missing name fails with ENOENT.",
    verify: "open <mount>/nosuch",
  },
  {
    id: "FS-020", level: "must", source: "upstream selftests",
    text: "Opening an endpoint is governed by directory and file mode bits; without permission open fails with EACCES.",
    verify: "unprivileged open of an endpoint with mode 0600",
  },
  {
    id: "FS-021", level: "must", source: "implementation",
    text: "ioctls work on handles opened with O_RDONLY, O_WRONLY or O_RDWR alike.",
    verify: "HELLO on an O_RDONLY handle",
  },
  {
    id: "FS-022", level: "must", source: "implementation",
    text: "On an untyped control handle every known command except BUS_MAKE fails with EBADFD.",
    verify: "HELLO and RECV on control give EBADFD",
  },
  {
    id: "FS-023", level: "must", source: "implementation",
    text: "On an untyped endpoint handle every known command except HELLO and ENDPOINT_MAKE fails with EBADFD.",
    verify: "BUS_MAKE, SEND, ENDPOINT_UPDATE on an endpoint handle give EBADFD",
  },
  {
    id: "FS-024", level: "must", source: "upstream selftests",
    text: "BUS_MAKE, ENDPOINT_MAKE and HELLO on a handle that already has a role fail with EBADFD.",
    verify: "second BUS_MAKE with another name on the same fd gives EBADFD; second HELLO too",
  },
  {
    id: "FS-025", level: "must", source: "kdbus(7)",
    text: "A bus owner handle refuses all 16 commands with EBADFD.",
    verify: "issue each",
  },
  {
    id: "FS-026", level: "must", source: "kdbus(7)",
    text: "An endpoint owner handle refuses every known command except ENDPOINT_UPDATE with EBADFD.",
    verify: "issue each",
  },
  {
    id: "FS-027", level: "must", source: "implementation",
    text: "A connected handle refuses ENDPOINT_UPDATE with EBADFD.",
    verify: "ENDPOINT_UPDATE after HELLO",
  },
  {
    id: "FS-028", level: "must", source: "upstream selftests",
    text: "A set-up ioctl that fails leaves the handle untyped and usable for another attempt.",
    verify: "HELLO with pool_size 0 (EINVAL), then a correct HELLO on the same fd succeeds",
  },
  {
    id: "FS-029", level: "must", source: "implementation",
    text: "poll on a handle that is not a live connection reports POLLERR and POLLHUP.",
    verify: "poll untyped, bus owner and disconnected handles",
  },
  {
    id: "FS-030", level: "must", source: "kdbus.message(7)",
    text: "poll on a live connection always reports POLLOUT and POLLWRNORM, and POLLIN with POLLRDNORM exactly when a message is queued or messages were lost since the last RECV.",
    verify: "poll before and after sending to the connection",
  },
  {
    id: "FS-031", level: "must", source: "implementation",
    text: "A task blocked in poll on a connection wakes up when a message arrives and when the connection is disconnected.",
    verify: "poll in one thread, send or close the bus in another",
  },
  {
    id: "FS-032", level: "must", source: "implementation",
    text: "mmap on a handle that was never connected fails with EBADFD.",
    verify: "mmap an untyped endpoint fd",
  },
  {
    id: "FS-033", level: "must", source: "implementation",
    text: "read and write on control and endpoint files fail with EINVAL.",
    verify: "read(fd), write(fd)",
  },
  {
    id: "FS-034", level: "must", source: "kdbus.bus(7)",
    text: "After the last close of a bus owner handle returns, the bus directory is gone and the name can be used again.",
    verify: "close, stat gives ENOENT, BUS_MAKE with the same name succeeds",
  },
  {
    id: "FS-035", level: "must", source: "implementation",
    text: "A handle shared by dup, fork or descriptor passing keeps its objects alive until its last reference is closed.",
    verify: "dup the owner fd, close the original, the bus still exists",
  },
  {
    id: "FS-036", level: "must", source: "kdbus.connection(7)",
    text: "A set-up ioctl on an endpoint handle opened before the endpoint vanished fails with ESHUTDOWN.",
    verify: "open <bus>/bus, close the bus owner, HELLO gives ESHUTDOWN",
  },
  {
    id: "FS-037", level: "must", source: "implementation",
    text: "ENDPOINT_UPDATE on an endpoint owner handle whose bus has ended fails with ESHUTDOWN.",
    verify: "close the bus owner fd, then ENDPOINT_UPDATE",
  },
  {
    id: "FS-038", level: "should", source: "implementation",
    text: "chmod and chown on nodes have no lasting effect that software can rely on.",
    verify: "informational",
  },
  {
    id: "FS-039", level: "should", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "/sys/fs/kdbus is a permanently empty directory, so that kdbusfs mounted on it does not keep user namespaces from mounting sysfs.",
    verify: "with kdbusfs mounted there, unshare user, network and mount namespaces and mount sysfs",
  },
  {
    id: "FS-040", level: "should", source: "implementation",
    text: "In a bus directory that has been removed, a process that still holds it open or as working directory finds no node: lookups give ENOENT and a listing shows only . and ..",
    verify: "chdir into the bus directory, close the bus owner, stat bus, readdir",
  },
  {
    id: "FS-041", level: "should", source: "implementation",
    text: "Listing a mount that shows a removed node gives no node twice and skips none that exists throughout, while nodes are made and removed in parallel.",
    verify: "readdir in a loop during bus creation and removal in another thread; a long-lived bus shows up exactly once each time",
  },
] as const satisfies readonly Requirement[];
