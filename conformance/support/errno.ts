/** Error numbers of Linux that the interface uses; equal on every architecture of the matrix. */
export const ERRNO = {
  EPERM: 1, ENOENT: 2, ESRCH: 3, EINTR: 4, EIO: 5, ENXIO: 6, E2BIG: 7, ENOEXEC: 8, EBADF: 9, ECHILD: 10, EAGAIN: 11, ENOMEM: 12, EACCES: 13, EFAULT: 14,
  EBUSY: 16, EEXIST: 17, EXDEV: 18, ENODEV: 19, ENOTDIR: 20, EISDIR: 21, EINVAL: 22, ENFILE: 23, EMFILE: 24, ENOTTY: 25, ETXTBSY: 26, EFBIG: 27, ENOSPC: 28,
  ESPIPE: 29, EROFS: 30, EMLINK: 31, EPIPE: 32, EDOM: 33, ERANGE: 34, EDEADLK: 35, ENAMETOOLONG: 36, ENOSYS: 38, ENOTEMPTY: 39, ELOOP: 40, EXFULL: 54,
  EBADSLT: 57, ENODATA: 61, EREMOTEIO: 121, EBADFD: 77, EREMCHG: 78, ECOMM: 70, EPROTO: 71, EBADMSG: 74, ENOTUNIQ: 76, EDESTADDRREQ: 89, EMSGSIZE: 90,
  EOPNOTSUPP: 95, EADDRINUSE: 98, EADDRNOTAVAIL: 99, ECONNABORTED: 103, ECONNRESET: 104, ENOBUFS: 105, EISCONN: 106, ENOTCONN: 107, ESHUTDOWN: 108,
  ETIMEDOUT: 110, ECONNREFUSED: 111, EALREADY: 114, EDQUOT: 122, EMEDIUMTYPE: 124, ECANCELED: 125,
} as const;
export type Errno = keyof typeof ERRNO;

const byNumber: ReadonlyMap<number, Errno> = new Map(Object.entries(ERRNO).map(([name, value]) => [value, name as Errno]));

/** Name of an error number; unknown ones as `errno 199`. */
export function errnoName(number: number): Errno | `errno ${number}` {
  return byNumber.get(number) ?? `errno ${number}`;
}

/** A system call in the guest failed. Tests that expect that use `expectErrno`. */
export class BusError extends Error {
  override readonly name = "BusError";
  readonly errno: string;

  constructor(operation: string, errno: string) {
    super(`${operation} failed with ${errno}`);
    this.errno = errno;
  }
}
