/**
 * From the items of a room to the blocks of the transcript: pure functions of the store.
 *
 * A run is one block, at the place where it began, though other people's messages may lie between
 * its items; messages of one sender are grouped; what is missing is a line at its place.
 */

import { dayKey } from "./lib/text.js";

const GROUP_SECONDS = 300;

/** @typedef {import("./store.js").Item} Item */
/** @typedef {import("./store.js").Store} Store */

/**
 * @typedef {{key: string, kind: "gap", missing: number, loadable: boolean, from: number}} GapBlock
 * @typedef {{key: string, kind: "text", item: Item}} TextPart
 * @typedef {{key: string, kind: "tool", use: Item|null, result: Item|null}} ToolPart
 * @typedef {{key: string, kind: "run", run: import("./store.js").Run, state: string,
 *   parts: (TextPart|ToolPart|GapBlock)[]}} RunBlock
 * @typedef {{key: string, kind: "group", sender: string, own: boolean, items: Item[]}} GroupBlock
 * @typedef {{key: string, kind: "day", time: number}} DayBlock
 * @typedef {{key: string, kind: "notice", item: Item}} NoticeBlock
 * @typedef {{key: string, kind: "dropped", count: number}} DroppedBlock
 * @typedef {{key: string, kind: "restarted"}} RestartedBlock
 * @typedef {GapBlock|RunBlock|GroupBlock|DayBlock|NoticeBlock|DroppedBlock|RestartedBlock} Block
 */

/**
 * @param {Store} store
 * @param {(item: Item) => boolean} isOwn
 * @returns {Block[]}
 */
export function layout(store, isOwn) {
  const page = new Page(store, isOwn);
  const holes = store.holes();
  let hole = 0;
  let before = null;
  for (const item of store.items) {
    if (hole < holes.length && holes[hole].to === item.seq) {
      page.gap(holes[hole], before, item);
      hole += 1;
    }
    page.item(item);
    before = item;
  }
  if (hole < holes.length) page.gap(holes[hole], before, null);
  if (store.running !== null) page.run(store.running);
  return page.blocks;
}

class Page {
  /** @type {Block[]} */
  blocks = [];
  /** @type {Map<string, RunBlock>} */
  #runs = new Map();
  /** @type {Map<string, ToolPart>} */
  #tools = new Map();
  #day = "";

  /**
   * @param {Store} store
   * @param {(item: Item) => boolean} isOwn
   */
  constructor(store, isOwn) {
    this.store = store;
    this.isOwn = isOwn;
    const dropped = store.start === null ? 0 : store.floor - store.start;
    if (dropped > 0) this.blocks.push({ key: "dropped", kind: "dropped", count: dropped });
    else if (store.restarted) this.blocks.push({ key: "restarted", kind: "restarted" });
  }

  /** @param {Item} item */
  item(item) {
    const { kind, run } = item;
    if (kind === "message") this.#message(item);
    else if (run !== undefined) this.#inRun(item, run);
    else if (kind === "notice") this.#block(item, { key: `notice-${item.seq}`, kind, item });
  }

  /**
   * A hole between two items of one run belongs into its block, any other one between the blocks.
   *
   * @param {{from: number, to: number, loadable: boolean}} hole
   * @param {Item|null} before
   * @param {Item|null} after
   */
  gap({ from, to, loadable }, before, after) {
    /** @type {GapBlock} */
    const gap = { key: `gap-${from}`, kind: "gap", missing: to - from, loadable, from };
    const run = before?.run !== undefined && before.run === after?.run ? before.run : null;
    if (run === null) this.blocks.push(gap);
    else this.run(run).parts.push(gap);
  }

  /**
   * @param {string} id
   * @returns {RunBlock}
   */
  run(id) {
    let block = this.#runs.get(id);
    if (block === undefined) {
      const run = this.store.runs.get(id);
      if (run === undefined) throw new Error(`the store has an item of the unknown run ${id}`);
      block = { key: `run-${id}`, kind: "run", run, state: this.store.stateOf(run), parts: [] };
      this.#runs.set(id, block);
      this.blocks.push(block);
    }
    return block;
  }

  /** @param {Item} item */
  #message(item) {
    const own = this.isOwn(item);
    const last = this.blocks.at(-1);
    if (last?.kind === "group" && last.sender === item.sender && last.own === own) {
      const newest = last.items[last.items.length - 1];
      if (item.time - newest.time < GROUP_SECONDS && dayKey(item.time) === this.#day) {
        last.items.push(item);
        return;
      }
    }
    const sender = item.sender ?? "";
    this.#block(item, { key: `group-${item.seq}`, kind: "group", sender, own, items: [item] });
  }

  /**
   * @param {Item} item
   * @param {string} id
   */
  #inRun(item, id) {
    this.#newDay(item, !this.#runs.has(id));
    const block = this.run(id);
    if (item.kind === "text" || item.kind === "notice") {
      block.parts.push({ key: `text-${item.seq}`, kind: "text", item });
    } else if (item.kind === "tool_use" || item.kind === "tool_result") {
      this.#tool(item, block);
    }
  }

  /**
   * @param {Item} item
   * @param {RunBlock} block
   */
  #tool(item, block) {
    const key = `tool-${item.run}-${item.tool_use}`;
    let part = this.#tools.get(key);
    if (part === undefined) {
      part = { key, kind: "tool", use: null, result: null };
      this.#tools.set(key, part);
      block.parts.push(part);
    }
    if (item.kind === "tool_use") part.use = item;
    else part.result = item;
  }

  /**
   * @param {Item} item
   * @param {Block} block
   */
  #block(item, block) {
    this.#newDay(item, true);
    this.blocks.push(block);
  }

  /**
   * @param {Item} item
   * @param {boolean} opensBlock
   */
  #newDay(item, opensBlock) {
    const day = dayKey(item.time);
    if (!opensBlock || day === this.#day) return;
    this.#day = day;
    this.blocks.push({ key: `day-${item.seq}`, kind: "day", time: item.time });
  }
}
