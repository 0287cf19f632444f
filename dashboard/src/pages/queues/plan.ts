// Where queues, handlers and what leads from one to the other stand in the drawing.

import dagre from '@dagrejs/dagre'
import type { Shape } from '~/api/types'

export type Queue = Shape<'PipelineShown'>

export interface Place {
  id: string
  sort: 'queue' | 'handler'
  /** Of the queue. */
  name: string
  x: number
  y: number
}

export interface Way {
  id: string
  from: string
  to: string
  /** The queue whose messages go here. */
  queue: string
  /** The exceptions that go this way; empty = results, or messages on their way to the handler. */
  errors: string[]
  points: Point[]
}

export interface Point {
  x: number
  y: number
}

interface Parts {
  places: Place[]
  ways: Way[]
}

export interface Plan extends Parts {
  /** In the drawing's own pixels. */
  width: number
  height: number
}

export const SIZE = { queue: { width: 184, height: 78 }, handler: { width: 64, height: 64 } }
const APART = { x: 72, y: 56 }
/** Width to height of the place where it is drawn, about. */
const SHAPE = 2.4

/** What of the queues decides where they stand: a text, so that the drawing rests while only figures change. */
export const structure = (queues: Queue[]): string =>
  JSON.stringify(queues.map(({ name, handler }) => [name, handler && [handler.output_queues, handler.on_error.map((one) => [one.exception, one.queue])]]))

type Known = [name: string, handler: null | [outputs: string[], errors: [exception: string, queue: string][]]]

/** Lays out each pipeline for itself, from left to right, and puts them below and beside each other. */
export function plan(drawn: string): Plan {
  const known = JSON.parse(drawn) as Known[]
  const { places, ways } = parts(known)
  const groups = together(places, ways)
  const laid = groups.map((group) => lay(group.places, group.ways))
  return packed(laid)
}

function parts(known: Known[]): Parts {
  const names = new Set(known.map(([name]) => name))
  const ways: Way[] = []
  const places: Place[] = []
  const way = (from: string, to: string, queue: string, errors: string[] = []) => ways.push({ id: `${from} ${to} ${errors.length ? 'error' : ''}`, from, to, queue, errors, points: [] })
  for (const [name, handler] of known) {
    places.push({ id: `q:${name}`, sort: 'queue', name, x: 0, y: 0 })
    if (!handler) continue
    places.push({ id: `h:${name}`, sort: 'handler', name, x: 0, y: 0 })
    way(`q:${name}`, `h:${name}`, name)
    for (const output of new Set(handler[0])) if (names.has(output)) way(`h:${name}`, `q:${output}`, name)
    const errors = new Map<string, string[]>()
    for (const [exception, queue] of handler[1]) errors.set(queue, [...(errors.get(queue) ?? []), exception])
    for (const [queue, exceptions] of errors) if (names.has(queue)) way(`h:${name}`, `q:${queue}`, name, exceptions)
  }
  return { places, ways }
}

/** Those that hang together, the largest first. */
function together(places: Place[], ways: Way[]): Parts[] {
  const next = new Map<string, string[]>(places.map((one) => [one.id, []]))
  for (const { from, to } of ways) {
    next.get(from)?.push(to)
    next.get(to)?.push(from)
  }
  const group = new Map<string, number>()
  let groups = 0
  for (const { id } of places) {
    if (group.has(id)) continue
    const open = [id]
    while (open.length) {
      const one = open.pop() as string
      if (group.has(one)) continue
      group.set(one, groups)
      open.push(...(next.get(one) ?? []))
    }
    groups++
  }
  const made: Parts[] = Array.from({ length: groups }, () => ({ places: [], ways: [] }))
  for (const one of places) made[group.get(one.id) ?? 0]?.places.push(one)
  for (const one of ways) made[group.get(one.from) ?? 0]?.ways.push(one)
  return made.sort((a, b) => b.places.length - a.places.length)
}

function lay(places: Place[], ways: Way[]): Plan {
  const graph = new dagre.graphlib.Graph({ multigraph: true })
  graph.setGraph({ rankdir: 'LR', ranksep: 62, nodesep: 40, edgesep: 24 })
  for (const one of places) graph.setNode(one.id, { ...SIZE[one.sort] })
  // A handler's name stands below its circle: room for it, by a taller node.
  for (const one of places) if (one.sort === 'handler') graph.setNode(one.id, { width: SIZE.handler.width, height: SIZE.handler.height + 32 })
  for (const one of ways) graph.setEdge(one.from, one.to, one.errors.length ? { width: 90, height: 18, labelpos: 'c' } : { width: 1, height: 1 }, one.id)
  dagre.layout(graph)
  const centre = (id: string) => graph.node(id) as Point
  const { width = 0, height = 0 } = graph.graph()
  return {
    width,
    height,
    places: places.map((one) => {
      const { x, y } = centre(one.id)
      return { ...one, x: x - SIZE[one.sort].width / 2, y: y - SIZE[one.sort].height / 2 }
    }),
    ways: ways.map((one) => ({ ...one, points: ended((graph.edge(one.from, one.to, one.id) as { points: Point[] }).points, one, centre) })),
  }
}

/** Ends at circles are on the circle, not on the box around it. */
function ended(points: Point[], way: Way, centre: (id: string) => Point): Point[] {
  const inner = points.slice(1, -1)
  const round = (id: string, beside: Point | undefined, end: Point | undefined): Point => {
    const middle = centre(id)
    if (!id.startsWith('h:') || !beside) return end ?? middle
    const apart = Math.hypot(beside.x - middle.x, beside.y - middle.y) || 1
    const radius = SIZE.handler.width / 2 + 2
    return { x: middle.x + ((beside.x - middle.x) / apart) * radius, y: middle.y + ((beside.y - middle.y) / apart) * radius }
  }
  const first = round(way.from, inner[0] ?? centre(way.to), points[0])
  const last = round(way.to, inner.at(-1) ?? first, points.at(-1))
  return [first, ...inner, last]
}

/** In rows; of all widths that these can have, the one that leaves them largest. */
function packed(laid: Plan[]): Plan {
  const widest = Math.max(0, ...laid.map((one) => one.width))
  const all = [1, 1.5, 2, 3, 4, 6, 8].map((times) => inRows(laid, widest * times))
  const extent = (one: Plan) => Math.max(one.width, one.height * SHAPE)
  return all.reduce((best, one) => (extent(one) < extent(best) ? one : best))
}

function inRows(laid: Plan[], room: number): Plan {
  const made: Plan = { places: [], ways: [], width: 0, height: 0 }
  let [x, y, row] = [0, 0, 0]
  for (const one of laid) {
    if (x > 0 && x + one.width > room) {
      ;[x, y, row] = [0, y + row + APART.y, 0]
    }
    const move = <P extends Point>(point: P): P => ({ ...point, x: point.x + x, y: point.y + y })
    made.places.push(...one.places.map(move))
    made.ways.push(...one.ways.map((way) => ({ ...way, points: way.points.map(move) })))
    made.width = Math.max(made.width, x + one.width)
    x += one.width + APART.x
    row = Math.max(row, one.height)
    made.height = y + row
  }
  return made
}

/** A soft line through the points, as SVG has it. */
export function line(points: Point[]): string {
  const [first, ...rest] = points
  if (!first) return ''
  const bends = rest.slice(0, -1)
  const end = rest.at(-1) ?? first
  if (!bends.length) return `M${first.x},${first.y} L${end.x},${end.y}`
  const drawn = bends.map((bend, at) => {
    const next = bends[at + 1]
    const to = next ? { x: (bend.x + next.x) / 2, y: (bend.y + next.y) / 2 } : end
    return `Q${bend.x},${bend.y} ${to.x},${to.y}`
  })
  return `M${first.x},${first.y} ${drawn.join(' ')}`
}
