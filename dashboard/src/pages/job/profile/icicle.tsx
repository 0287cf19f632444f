import { Anchor } from '@mantine/core'
import { type KeyboardEvent, useState } from 'react'
import { format } from '~/parts'
import { type Node, read } from './parse'
import classes from './profile.module.css'

/** px of a row. */
const ROW = 21
/** Of what is in sight: narrower frames have no text, still narrower ones are not reached by the keyboard. */
const LEGIBLE = 0.025
const REACHED = 0.02
const THIN = 0.0015

interface Frame {
  node: Node
  /** Shares of what is in sight. */
  from: number
  width: number
  row: number
  path: Node[]
}

/** Time from left to right, calls from top to bottom; a click makes a function as wide as the whole. */
export function Icicle({ root }: { root: Node }) {
  const [path, setPath] = useState<Node[]>([])
  const top = path.at(-1) ?? root
  const frames = laid(top, path)
  const rows = Math.max(...frames.map((one) => one.row)) + 1
  const [over, setOver] = useState<Frame>()
  const told = over ?? frames[0]
  return (
    <div>
      <div className={classes.crumbs}>
        <Anchor component="button" type="button" size="sm" disabled={!path.length} onClick={() => setPath([])}>
          All
        </Anchor>
        {path.map((one, at) => (
          <span key={at} className={classes.crumb}>
            <span className="pc-dim" aria-hidden>
              {' › '}
            </span>
            <Anchor component="button" type="button" size="sm" aria-current={at === path.length - 1 || undefined} onClick={() => setPath(path.slice(0, at + 1))}>
              {read(one.id).name}
            </Anchor>
          </span>
        ))}
        <span className={classes.legend} aria-hidden>
          <i data-kind="own" /> your code <i data-kind="library" /> libraries <i data-kind="built-in" /> built in
        </span>
      </div>
      <div className={classes.scroll}>
        <svg width="100%" height={rows * ROW} role="group" aria-label="Where the time went; the table has the same in figures" className={classes.chart} onMouseLeave={() => setOver(undefined)}>
          {frames.map((one, at) => (
            <Bar key={at} frame={one} total={root.value} onOpen={() => (setPath(one.path), setOver(undefined))} onOver={() => setOver(one)} />
          ))}
        </svg>
      </div>
      {told && <Told frame={told} total={root.value} />}
    </div>
  )
}

const share = (value: number, total: number) => `${((value / total) * 100).toFixed(1)} %`

function Told({ frame: { node }, total }: { frame: Frame; total: number }) {
  const { name, place } = node.id ? read(node.id) : { name: 'All', place: '' }
  return (
    <div className={classes.told}>
      <b>{format.duration(node.value * 1000)}</b> {share(node.value, total)} <span className="pc-mono">{name}</span> <span className="pc-dim">{place}</span>
    </div>
  )
}

function Bar({ frame, total, onOpen, onOver }: { frame: Frame; total: number; onOpen: () => void; onOver: () => void }) {
  const { node, from, width, row } = frame
  const { name, kind } = node.id ? read(node.id) : { name: 'All', kind: 'built-in' }
  const press = (event: KeyboardEvent) => {
    if (event.key !== 'Enter' && event.key !== ' ') return
    event.preventDefault()
    onOpen()
  }
  return (
    <svg x={`${from * 100}%`} y={row * ROW} width={`${width * 100}%`} height={ROW}>
      <g role="button" tabIndex={width >= REACHED ? 0 : -1} aria-label={`${name}, ${format.duration(node.value * 1000)}, ${share(node.value, total)}`} className={classes.bar} data-kind={kind} onClick={onOpen} onKeyDown={press} onMouseEnter={onOver} onFocus={onOver}>
        <rect width="100%" height={ROW - 1} />
        {width >= LEGIBLE && (
          <text x={5} y={14}>
            {name}
          </text>
        )}
      </g>
    </svg>
  )
}

/** Where each function of the tree below `top` stands. */
function laid(top: Node, path: Node[]): Frame[] {
  const found: Frame[] = []
  const scale = top.value || 1
  const put = (node: Node, from: number, row: number, way: Node[]) => {
    const width = node.value / scale
    if (width < THIN) return
    found.push({ node, from, width, row, path: way })
    for (const one of node.children) put(one, from + one.before / scale, row + 1, [...way, one])
  }
  put(top, 0, 0, path)
  return found
}
