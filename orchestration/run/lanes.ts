interface Waiting {
  readonly urgent: boolean;
  readonly share: () => number;
  readonly grant: (lanes: number) => void;
}

/**
 * The machines that may run at once, shared by the targets of a run: a target that boots holds one lane, one that is
 * tested as many as the others leave it. Tests go before boots, so that results come early and few machines wait.
 */
export class Lanes {
  readonly count: number;
  #free: number;
  #waiting: Waiting[] = [];

  constructor(count: number) {
    this.count = count;
    this.#free = count;
  }

  /** One lane, for as long as it takes to bring a target up. */
  one(): Promise<number> {
    return this.#take({ urgent: false, share: () => 1 });
  }

  /** A share of the free lanes for the tests of a target. @param toCome how many targets will still want theirs */
  share(toCome: () => number): Promise<number> {
    return this.#take({ urgent: true, share: () => Math.ceil(this.#free / (1 + Math.min(toCome(), this.#free - 1))) });
  }

  give(lanes: number): void {
    this.#free += lanes;
    this.#serve();
  }

  #take(wanted: Omit<Waiting, "grant">): Promise<number> {
    return new Promise((resolve) => {
      this.#waiting.push({ ...wanted, grant: resolve });
      this.#serve();
    });
  }

  #serve(): void {
    while (this.#free > 0 && this.#waiting.length > 0) {
      const next = this.#waiting.find((one) => one.urgent) ?? this.#waiting[0];
      if (next === undefined) return;
      this.#waiting = this.#waiting.filter((one) => one !== next);
      const lanes = next.share();
      this.#free -= lanes;
      next.grant(lanes);
    }
  }
}
