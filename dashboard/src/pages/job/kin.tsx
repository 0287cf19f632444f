import { Anchor } from '@mantine/core'
import type { ReactNode } from 'react'
import { Link } from 'wouter'
import { to } from '~/layout/routes'
import { format, Section, Status } from '~/parts'
import classes from './job.module.css'
import type { Job } from './shape'
import { Fold } from './text'

type Child = Job['children'][number]

/** Lists longer than this are folded away at first. */
const MANY = 8

/** What stands around it: who submitted it, what it has submitted, what it waited for, what waits for it, the rest of its map. */
export function Kin({ job }: { job: Job }) {
  const mates = job.count !== null && job.count > 1
  if (job.parent_jid === null && !job.children.length && !job.depends_on.length && !job.holds.length && !mates) return null
  return (
    <Section title="Related jobs">
      <div className={`pc-card ${classes.kin}`}>
        {job.parent_jid !== null && (
          <p>
            Submitted by <To jid={job.parent_jid} />
          </p>
        )}
        {mates && (
          <p>
            {format.count(job.position + 1)} of {format.count(job.count ?? 0)} of a map
            <span className={classes.beside}>
              {job.position > 0 && <To jid={job.jid - 1}>previous</To>}
              {job.position + 1 < (job.count ?? 0) && <To jid={job.jid + 1}>next</To>}
            </span>
          </p>
        )}
        <List title="Waited for" open={job.depends_on.length <= MANY} count={job.depends_on.reduce((sum, [, count]) => sum + count, 0)}>
          {job.depends_on.map(([first, count]) => (
            <li key={first}>
              <To jid={first} />
              {count > 1 && ` to ${first + count - 1} (${format.count(count)})`}
            </li>
          ))}
        </List>
        <List title="Wait for it" open={job.holds.length <= MANY} count={job.holds.length}>
          {job.holds.map((jid) => (
            <li key={jid}>
              <To jid={jid} />
            </li>
          ))}
        </List>
        <List title="Submitted by it" open={job.children.length <= MANY} count={job.children_count}>
          {job.children.map((one) => (
            <Submitted key={one.submission} one={one} />
          ))}
        </List>
      </div>
    </Section>
  )
}

function Submitted({ one }: { one: Child }) {
  const state = one.failed ? 'error' : one.over ? 'done' : one.running ? 'processing' : 'queued'
  const said = one.count === 1 ? state : one.failed ? `${format.count(one.failed)} failed` : `${format.count(one.done)} of ${format.count(one.count)} done`
  return (
    <li className={classes.child}>
      <To jid={one.jid_first}>{one.count > 1 ? `${one.jid_first} to ${one.jid_last}` : String(one.jid_first)}</To>
      <span className="pc-cut" title={one.label || one.function}>
        {one.label || one.function}
      </span>
      <Status state={state}>{said}</Status>
    </li>
  )
}

function List({ title, count, open, children }: { title: string; count: number; open: boolean; children: ReactNode }) {
  if (!count) return null
  return (
    <Fold title={title} open={open} beside={<span className="pc-dim">{format.count(count)}</span>}>
      <ul className={classes.list}>{children}</ul>
    </Fold>
  )
}

const To = ({ jid, children }: { jid: number; children?: string }) => (
  <Anchor component={Link} href={to.job(jid)} inherit>
    {children ?? `job ${jid}`}
  </Anchor>
)
