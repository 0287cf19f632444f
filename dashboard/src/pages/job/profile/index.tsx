import { Tabs } from '@mantine/core'
import { useEffect, useMemo, useState } from 'react'
import { address, request } from '~/api/client'
import { type ApiError, asError } from '~/api/error'
import { type Column, Copy, ErrorBox, format, Section, Table } from '~/parts'
import { isOver, type Job } from '../shape'
import { Icicle } from './icicle'
import { type Func, parse, read, tree } from './parse'
import classes from './profile.module.css'

/** Where its time went, if that was asked for. */
export function Profile({ job }: { job: Job }) {
  const { text, error } = useText(job)
  const found = useMemo(() => (text ? parse(text) : undefined), [text])
  const root = useMemo(() => found && tree(found), [found])
  if (!job.attributes.profile && !job.logs.profile) return null
  return (
    <Section title="Profile" actions={text && <Copy text={text} label="Copy the profile as text" />}>
      <ErrorBox error={error} />
      {!text && !error && <p className={`pc-card ${classes.none}`}>{!isOver(job) ? 'It appears here when the job has ended.' : job.logs.profile ? 'Reading…' : 'The job ended without one.'}</p>}
      {found && root && (
        <div className={`pc-card ${classes.box}`}>
          <Tabs defaultValue={root.value > 0 ? 'icicle' : 'table'}>
            <Tabs.List>
              <Tabs.Tab value="icicle" disabled={root.value <= 0}>
                Icicle
              </Tabs.Tab>
              <Tabs.Tab value="table">Table</Tabs.Tab>
            </Tabs.List>
            <Tabs.Panel value="icicle" p="md">
              <Icicle root={root} />
            </Tabs.Panel>
            <Tabs.Panel value="table" className={classes.table}>
              <Table label="Functions by time" columns={COLUMNS} rows={found.functions} id={(one) => one.id} height="28rem" />
            </Tabs.Panel>
          </Tabs>
        </div>
      )}
    </Section>
  )
}

const seconds = (value: number) => value.toFixed(3)

const COLUMNS: Column<Func>[] = [
  {
    key: 'name',
    title: 'Function',
    text: (one) => one.id,
    sort: (one) => read(one.id).name,
    cell: (one) => (
      <>
        <span className="pc-mono">{read(one.id).name}</span> <span className="pc-dim">{read(one.id).place}</span>
      </>
    ),
  },
  { key: 'calls', title: 'Calls', align: 'right', sort: (one) => one.calls, cell: (one) => format.count(one.calls) },
  { key: 'own', title: 'Own, s', align: 'right', sort: (one) => one.own, cell: (one) => seconds(one.own) },
  { key: 'whole', title: 'Whole, s', align: 'right', sort: (one) => one.whole, cell: (one) => seconds(one.whole) },
]

/** The profile of a job, once it is there. */
function useText(job: Job): { text: string | undefined; error: ApiError | undefined } {
  const [state, setState] = useState<{ key: string; text?: string; error?: ApiError }>()
  const { jid } = job
  const size = job.logs.profile ?? 0
  const key = `${jid}/${size}`
  useEffect(() => {
    if (!size) return
    const stop = new AbortController()
    request(address('/v1/job/{jid}/log', { jid, stream: 'profile' }), { signal: stop.signal })
      .then((answer) => answer.text())
      .then((text) => setState({ key, text }))
      .catch((thrown: unknown) => !stop.signal.aborted && setState({ key, error: asError(thrown) }))
    return () => stop.abort()
  }, [jid, size, key])
  const own = state?.key === key ? state : undefined
  return { text: own?.text, error: own?.error }
}
