import { Anchor, Button, Drawer, Group, Stack } from '@mantine/core'
import type { Action } from '~/api/action'
import { useLive } from '~/api/live'
import type { Shape } from '~/api/types'
import { linked } from '~/layout/linked'
import { to } from '~/layout/routes'
import { Link } from 'wouter'
import { Ago, type Column, Empty, ErrorBox, Status, Table, Time } from '~/parts'
import type { Cron } from '.'
import { Next } from '.'
import { policy, why, words } from './words'
import classes from './cron.module.css'

type Run = Shape<'RunShown'>

const COLUMNS: Column<Run>[] = [
  { key: 'time', title: 'For', cell: (one) => <Time at={one.time} /> },
  { key: 'status', title: 'State', cell: (one) => <Outcome run={one} /> },
  { key: 'why', title: 'Why', text: (one) => one.trouble || why(one), cell: (one) => <span className="pc-dim">{one.trouble || why(one)}</span> },
  { key: 'jid', title: 'Job', align: 'right', cell: (one) => <JobLink jid={one.jid} /> },
]

function JobLink({ jid }: { jid: number | null }) {
  if (jid === null) return <span className="pc-dim">none</span>
  const href = linked(to.job(jid))
  return href ? (
    <Anchor component={Link} href={href}>
      {jid}
    </Anchor>
  ) : (
    <>{jid}</>
  )
}

function Outcome({ run }: { run: Run }) {
  if (run.status) return <Status state={run.status} />
  if (run.why === 'failed') return <Status state="failed" />
  return <Status state="off">{run.jid ? 'cleaned away' : 'left out'}</Status>
}

interface Props {
  label: string | undefined
  cron: Cron | undefined
  /** The crons have been read. */
  known: boolean
  close: () => void
  run: Action<[string], unknown> | undefined
  remove: ((label: string) => void) | undefined
}

/** One cron with what came of its times. */
export const History = ({ label, cron, known, close, run, remove }: Props) => (
  <Drawer opened={label !== undefined} onClose={close} position="right" size="xl" title={<strong className={classes.name}>{label}</strong>} closeButtonProps={{ 'aria-label': 'Close' }}>
    {cron && <Whole cron={cron} run={run} remove={remove} />}
    {known && !cron && <Empty title="There is no such cron">It was removed.</Empty>}
  </Drawer>
)

function Whole({ cron, run, remove }: { cron: Cron } & Pick<Props, 'run' | 'remove'>) {
  const { data, error } = useLive('/v1/cron/run', { label: cron.label, limit: 100 })
  const jobs = linked(to.jobs({ label: cron.label }))
  return (
    <Stack gap="md">
      <Group gap="xs">
        {run && (
          <Button loading={run.busy} onClick={() => void run.run(cron.label)}>
            Run now
          </Button>
        )}
        {remove && (
          <Button variant="default" onClick={() => remove(cron.label)}>
            Remove
          </Button>
        )}
        {jobs && (
          <Anchor component={Link} href={jobs} size="sm" ml="xs">
            View jobs
          </Anchor>
        )}
      </Group>
      <dl className={classes.facts}>
        <dt>Schedule</dt>
        <dd>
          {words(cron)} <span className="pc-dim pc-mono">{cron.schedule}</span>
        </dd>
        <dt>Time zone</dt>
        <dd>{cron.timezone}</dd>
        <dt>Next run</dt>
        <dd>
          <Next cron={cron} />
        </dd>
        <dt>Function</dt>
        <dd>
          {cron.func_name} <span className="pc-dim">on {cron.core_type}</span>
        </dd>
        <dt>Policy</dt>
        <dd>{policy(cron).join(', ')}</dd>
        <dt>Registered</dt>
        <dd>
          <Ago at={cron.created} /> {cron.creator_host && <span className="pc-dim">from {cron.creator_host}</span>}
        </dd>
      </dl>
      <ErrorBox error={data ? undefined : error} />
      <Table label="Runs" columns={COLUMNS} rows={data?.runs} expected={4} id={(one) => `${one.made} ${one.time} ${one.jid}`} empty={<Empty title="It has not run yet">What comes of each of its times is told here.</Empty>} />
    </Stack>
  )
}
