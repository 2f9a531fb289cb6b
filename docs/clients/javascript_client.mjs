// A client of Rapport's query API for Node 20 and newer, without packages. Copy it, or run it:
//   . .rapport/demo.env; node docs/clients/javascript_client.mjs

import { randomUUID } from "node:crypto";
import { pathToFileURL } from "node:url";

const LONGEST_WAIT_MS = 30_000;

/** An answer that is no success; `body` is as docs/api.md describes it. */
export class RapportError extends Error {
  constructor(status, body) {
    super(`${status} ${body.code}: ${body.detail} (trace ${body.traceId})`);
    this.status = status;
    this.body = body;
  }
}

/** Writes that count once and reads that include them. */
export class Rapport {
  #url;
  #key;
  #attempts;
  #sleep;
  #written = new Map();

  /**
   * @param {string} url such as http://127.0.0.1:3000
   * @param {string} key an API key
   * @param {{attempts?: number, sleep?: (ms: number) => Promise<void>}} options how often a request is sent at most
   */
  constructor(url, key, { attempts = 6, sleep = (ms) => new Promise((done) => setTimeout(done, ms)) } = {}) {
    this.#url = url;
    this.#key = key;
    this.#attempts = attempts;
    this.#sleep = sleep;
  }

  /**
   * Record what a customer did; fields as in docs/api.md.
   *
   * Every attempt carries the same idempotency key, so it counts once, also when an answer gets lost.
   */
  async respond(answer) {
    const done = await this.#ask("POST", "/api/v1/respond", {}, { idempotencyKey: randomUUID(), ...answer });
    for (const place of done.position.split(",").filter(Boolean)) {
      const [partition, offset] = place.split(":");
      this.#written.set(partition, Math.max(Number(offset), this.#written.get(partition) ?? -1));
    }
    return done;
  }

  /** Every interaction that fits the filters, newest first, page by page. */
  async *history(filters) {
    let page;
    for (let cursor; !page || page.pagination.hasMore; cursor = page.pagination.nextCursor) {
      page = await this.#ask("GET", "/api/v1/interaction-history", { ...filters, ...(cursor && { cursor }) });
      yield* page.data;
    }
  }

  /** Counts per period of one customer. */
  async summaries(filters) {
    const rows = [];
    let page;
    for (let cursor; !page || page.nextCursor; cursor = page.nextCursor) {
      page = await this.#ask("GET", "/api/v1/interaction-summaries", { ...filters, ...(cursor && { cursor }) });
      rows.push(...page.data);
    }
    return rows;
  }

  async #ask(method, path, query, body) {
    const headers = { "X-API-Key": this.#key };
    if (body !== undefined) {
      headers["Content-Type"] = "application/json";
    } else if (this.#written.size) {
      // a read waits until it includes what this client has written
      headers["X-Min-Position"] = [...this.#written].map(([partition, at]) => `${partition}:${at}`).join(",");
    }
    for (let attempt = 1; ; attempt++) {
      let waitMs = Math.min(200 * 2 ** attempt, LONGEST_WAIT_MS) * (0.5 + Math.random() / 2);
      try {
        const answer = await fetch(`${this.#url}${path}?${new URLSearchParams(query)}`, {
          method,
          headers,
          body: body && JSON.stringify(body),
          signal: AbortSignal.timeout(30_000),
        });
        if (answer.ok) return await answer.json();
        const failure = new RapportError(answer.status, await bodyOf(answer));
        if (!isWorthARetry(failure) || attempt >= this.#attempts) throw failure;
        waitMs = 1000 * Number(answer.headers.get("Retry-After")) || waitMs;
      } catch (error) {
        // no connection, or it broke: nobody knows what became of the request
        if (error instanceof RapportError || attempt >= this.#attempts) throw error;
      }
      await this.#sleep(waitMs);
    }
  }
}

async function bodyOf(answer) {
  try {
    return Object(await answer.json());
  } catch {
    return {}; // not of the API: a proxy in between
  }
}

function isWorthARetry({ status, body: { code } }) {
  return ([429, 502, 503, 504].includes(status) && code !== "PLAYGROUND_QUOTA_EXCEEDED") || code === "NOT_YET_APPLIED";
}

async function main(customer) {
  const rapport = new Rapport(process.env.RAPPORT_URL, process.env.RAPPORT_API_KEY);
  for (const outcome of ["impression", "click", "convert"]) {
    await rapport.respond({ customerId: customer, creativeId: "newsletter", channelId: "email", outcome });
  }
  for await (const row of rapport.history({ customerId: customer, limit: 2 })) {
    console.log(row.timestamp, row.outcomeTypeKey);
  }
  for (const row of await rapport.summaries({ customerId: customer, periodType: "alltime" })) {
    console.log(row.scope, row.impressions, row.positive, row.converts);
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  await main(process.argv[2] ?? "javascript");
}
