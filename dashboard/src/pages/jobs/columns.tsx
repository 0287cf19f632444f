import { useState } from 'react'
import { Ago, Bytes, type Column, Duration, format, Money, Status } from '~/parts'
import classes from './jobs.module.css'
import type { Line } from './lines'
import { Progress } from './progress'

const dash = <span className="pc-dim">–</span>

const name = (text: string) => (text ? <span className={`pc-cut ${classes.name}`}>{text}</span> : dash)
const named = (line: Line) => (line.map ? `${line.first} – ${line.last}` : String(line.first))

/** All that is known of a job in a list, in the order of the table. */
export const COLUMNS: Column<Line>[] = [
  { key: 'jid', title: 'Job', cell: (line) => <span className={classes.jid}>{named(line)}</span> },
  {
    key: 'state',
    title: 'State',
    width: 210,
    cell: (line) => (line.map ? <Progress map={line.map} /> : <Status state={line.status ?? ''} cause={line.cause} />),
  },
  { key: 'function', title: 'Function', text: (line) => line.function, cell: (line) => name(line.function) },
  { key: 'label', title: 'Label', from: 'md', text: (line) => line.label, cell: (line) => name(line.label) },
  { key: 'created', title: 'Created', align: 'right', from: 'sm', cell: (line) => <Ago at={line.created} /> },
  {
    key: 'runtime',
    title: 'Runtime',
    align: 'right',
    from: 'sm',
    cell: (line) => <Duration ms={ms(line.runtime)} from={line.status === 'processing' ? line.started : null} />,
  },
  { key: 'cpu', title: 'CPU', align: 'right', from: 'lg', cell: (line) => <Duration ms={ms(line.cpu)} /> },
  { key: 'memory', title: 'Peak memory', align: 'right', from: 'lg', cell: (line) => <Bytes value={line.memory} /> },
  {
    key: 'fails',
    title: 'MemAlloc fails',
    align: 'right',
    from: 'lg',
    cell: (line) => (line.fails ? <span className={classes.failed}>{format.count(line.fails)}</span> : (line.fails ?? dash)),
  },
  { key: 'cores', title: 'Cores', align: 'right', from: 'md', cell: (line) => `${line.cores} × ${line.coreType}` },
  { key: 'cost', title: 'Cost', align: 'right', from: 'lg', cell: (line) => <Money value={line.cost} /> },
]

const ms = (seconds: number | null | undefined) => (typeof seconds === 'number' ? seconds * 1000 : null)

/** Without these a row says nothing. */
export const FIXED = ['jid', 'state']
const PLACE = 'picloud.jobs.hidden'

/** Columns that are not shown, remembered in this browser. */
export function useHidden(): [string[], (hidden: string[]) => void] {
  const [hidden, setHidden] = useState(remembered)
  const change = (next: string[]) => {
    setHidden(next)
    localStorage.setItem(PLACE, JSON.stringify(next))
  }
  return [hidden, change]
}

function remembered(): string[] {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(PLACE) ?? '[]')
    return Array.isArray(found) ? found.filter((one): one is string => typeof one === 'string' && !FIXED.includes(one)) : []
  } catch {
    return []
  }
}
