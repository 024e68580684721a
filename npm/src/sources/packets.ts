/** Finds packets of a track. */

import { EncodedPacketSink, type EncodedPacket, type PacketRetrievalOptions } from "mediabunny";

const HEADERS = { metadataOnly: true } as const;

/**
 * Finds packets of a track. mediabunny searches for a key packet from the cluster that holds the time,
 * and finds none if the group of pictures began in an earlier cluster, as in live recordings without an
 * index. This class then walks through the packets, each once.
 */
export class Packets extends EncodedPacketSink {
  /** Times of the key packets that walks have passed. */
  readonly #keys: number[] = [];
  #walked: EncodedPacket | null = null;
  /** The last walk: walks run one after the other. */
  #walk: Promise<void> = Promise.resolve();

  override async getKeyPacket(timestamp: number, options: PacketRetrievalOptions = {}): Promise<EncodedPacket | null> {
    const found = await super.getKeyPacket(timestamp, options);
    if (found) return found;
    const target = await this.getPacket(timestamp, HEADERS);
    if (!target) return null;
    const walk = this.#walk.then(() => this.#walkTo(target.timestamp));
    this.#walk = walk.catch(() => {});
    await walk;
    for (let i = this.#keys.length - 1; i >= 0; i--) {
      const time = this.#keys[i] as number;
      const packet = time <= timestamp ? await this.getPacket(time, options) : null;
      if (packet?.type === "key") return packet;
    }
    return null;
  }

  async #walkTo(time: number): Promise<void> {
    while (!this.#walked || this.#walked.timestamp < time) {
      const next: EncodedPacket | null = this.#walked
        ? await this.getNextPacket(this.#walked, HEADERS)
        : await this.getFirstPacket(HEADERS);
      if (!next) return;
      this.#walked = next;
      if (next.type === "key") this.#keys.push(next.timestamp);
    }
  }
}
