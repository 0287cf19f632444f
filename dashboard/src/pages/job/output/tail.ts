import { follow } from '../follow'
import { settled } from './lines'

/** Bytes of the end of a stream that are read and kept. */
export const KEPT = 4 << 20
/** Lines of a block: what is drawn, and dropped, as one. */
const BLOCK = 200
/** Characters after which a line is broken. */
const LONGEST = 20_000
/** ms between two drawings. */
const BEAT = 80

/** Some lines in a row; a block that is full never changes. */
export interface Block {
  key: number
  lines: string[]
  size: number
}

export interface Known {
  blocks: Block[]
  /** Bytes of the beginning that are not here. */
  cut: number
  /** Everything that there is now has been read. */
  read: boolean
  error: string
}

/** The end of one stream of a job, as it comes. However fast that is, it is drawn some times a second, and no more than its last megabytes are kept. */
export class Tail {
  known: Known = { blocks: [], cut: 0, read: false, error: '' }
  private over = false
  private attempt = 0
  private blocks: Block[] = []
  private rest = ''
  private size = 0
  private key = 0
  private bytes: number
  private cut: number
  private of = 0
  private torn: boolean
  private decoder = new TextDecoder()
  private timer: ReturnType<typeof setTimeout> | undefined
  private readonly heard = new Set<() => void>()

  /** @param size bytes that the stream had lately. */
  constructor(
    readonly jid: number,
    readonly stream: string,
    size: number,
  ) {
    this.bytes = this.cut = Math.max(0, size - KEPT)
    this.torn = this.cut > 0
  }

  listen = (tell: () => void): (() => void) => {
    this.heard.add(tell)
    return () => this.heard.delete(tell)
  }

  /** Tell what is known of the job: whether it has ended, and its attempts so far. */
  learn(over: boolean, attempt: number): void {
    this.over = over
    this.attempt = attempt
  }

  /** Read until the function that comes back is called. */
  start(): () => void {
    this.of = this.attempt
    const stop = follow({
      path: '/v1/job/{jid}/log',
      params: () => {
        if (this.of !== this.attempt && this.attempt > 1) this.clear() // positions are those of the attempt that prints
        this.of = this.attempt
        return { jid: this.jid, stream: this.stream, since: this.bytes }
      },
      take: (bytes) => this.take(bytes),
      over: () => this.over,
      refused: (error) => this.tell({ error: error.message, read: true }),
      done: () => this.tell({ read: true }),
    })
    const quiet = setTimeout(() => this.tell({ read: true }), 1500)
    return () => {
      stop()
      clearTimeout(quiet)
      clearTimeout(this.timer)
      this.timer = undefined
    }
  }

  /** Begin anew, with what the newest attempt prints. */
  private clear(): void {
    this.blocks = []
    this.rest = ''
    this.size = this.bytes = this.cut = 0
    this.torn = false
    this.decoder = new TextDecoder()
  }

  private take(bytes: Uint8Array): void {
    if (!bytes.length) return
    this.bytes += bytes.length
    const lines = (this.rest + this.decoder.decode(bytes, { stream: true })).split('\n')
    this.rest = lines.pop() ?? ''
    if (this.torn && lines.length) {
      lines.shift()
      this.torn = false
    }
    for (const line of lines) this.add(line)
    while (this.rest.length > LONGEST) {
      this.rest = settled(this.rest)
      if (this.rest.length > LONGEST) {
        this.add(this.rest.slice(0, LONGEST))
        this.rest = this.rest.slice(LONGEST)
      }
    }
    this.drop()
    this.timer ??= setTimeout(() => this.tell({ read: true }), BEAT)
  }

  private add(raw: string): void {
    const line = settled(raw)
    let last = this.blocks.at(-1)
    if (!last || last.lines.length >= BLOCK) {
      last = { key: this.key++, lines: [], size: 0 }
      this.blocks.push(last)
    } else if (this.known.blocks.includes(last, Math.max(0, this.known.blocks.length - 2))) {
      last = { ...last, lines: [...last.lines] } // it is drawn: what is drawn does not change
      this.blocks[this.blocks.length - 1] = last
    }
    last.lines.push(line)
    last.size += line.length + 1
    this.size += line.length + 1
  }

  private drop(): void {
    while (this.size > KEPT && this.blocks.length > 1) {
      const first = this.blocks.shift()
      this.size -= first?.size ?? 0
      this.cut += first?.size ?? 0
    }
  }

  private tell(change: Partial<Known>): void {
    this.timer = undefined
    const open = settled(this.rest)
    const blocks = open && !this.torn ? [...this.blocks, { key: -1, lines: [open], size: open.length }] : [...this.blocks]
    this.known = { ...this.known, ...change, blocks, cut: this.cut }
    this.heard.forEach((one) => one())
  }
}
