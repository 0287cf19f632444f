import { ActionIcon, Menu } from '@mantine/core'
import { IconDots } from '@tabler/icons-react'
import { useAction } from '~/api/action'
import { post } from '~/api/client'
import { useLive } from '~/api/live'
import type { Shape } from '~/api/types'
import { Ago, type Column, Confirm, Empty, Page, Snippet, Status, Table, Time, useConfirm, useQuery, useWho } from '~/parts'
import { History } from './history'
import { policy, there, words } from './words'
import classes from './cron.module.css'

export type Cron = Shape<'CronShown'>

const CODE = `import cloud

def report():
    print("all is well")

cloud.cron.register(report, "nightly", "30 2 * * *", timezone="${Intl.DateTimeFormat().resolvedOptions().timeZone}")`

const COLUMNS: Column<Cron>[] = [
  { key: 'label', title: 'Cron', text: (one) => one.label, sort: (one) => one.label, cell: (one) => <span className={`pc-cut ${classes.label}`}>{one.label}</span> },
  { key: 'function', title: 'Function', from: 'lg', text: (one) => one.func_name, sort: (one) => one.func_name, cell: (one) => <span className={`pc-cut ${classes.label}`}>{one.func_name}</span> },
  {
    key: 'schedule',
    title: 'Schedule',
    text: (one) => `${words(one)} (${one.schedule}, ${one.timezone})`,
    cell: (one) => (
      <>
        <div className="pc-cut">{words(one)}</div>
        <div className="pc-dim">
          <span className="pc-mono">{one.schedule}</span> {one.timezone}
        </div>
      </>
    ),
  },
  { key: 'next', title: 'Next run', sort: (one) => one.next_run ?? Infinity, cell: (one) => <Next cron={one} /> },
  { key: 'last', title: 'Last run', sort: (one) => one.last_run ?? 0, cell: (one) => <Last cron={one} /> },
  { key: 'policy', title: 'Policy', from: 'lg', text: (one) => policy(one).join(', '), cell: (one) => policy(one).map((each) => <div key={each} className="pc-dim">{each}</div>) },
]

/** Functions that run at given times. */
export default function CronPage() {
  const { data, error } = useLive('/v1/cron')
  const [query, setQuery] = useQuery('label')
  const may = useWho().scopes.includes('jobs')
  const run = useAction((label: string) => post('/v1/cron/run', { label, token: token() }), { said: ({ jid }) => `It runs as job ${jid}` })
  const remove = useAction((label: string) => post('/v1/cron/remove', { label }), { said: 'The cron is removed', then: () => setQuery({ label: undefined }) })
  const removing = useConfirm<string>()
  const actions: Column<Cron> = {
    key: 'actions',
    title: '',
    align: 'right',
    width: 60,
    cell: (one) => (
      <Menu position="bottom-end">
        <Menu.Target>
          <ActionIcon variant="subtle" color="gray" size="sm" aria-label={`Actions for ${one.label}`}>
            <IconDots size={16} />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item onClick={() => void run.run(one.label)}>Run now</Menu.Item>
          <Menu.Item onClick={() => setQuery({ label: one.label }, { push: true })}>History</Menu.Item>
          <Menu.Item c="var(--pc-bad)" onClick={() => removing.open(one.label)}>
            Remove
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
    ),
  }
  const crons = data?.crons
  return (
    <Page title="Cron" about="Functions and programs that run at given times, whether you are there or not.">
      <Table
        label="Crons"
        columns={may ? [...COLUMNS, actions] : COLUMNS}
        rows={crons}
        error={error}
        id={(one) => one.label}
        href={(one) => `/cron?label=${encodeURIComponent(one.label)}`}
        empty={
          <Empty title="No crons yet" more={<Snippet code={CODE} />}>
            Register a function under a label with a schedule of five fields: minute, hour, day, month, weekday.
          </Empty>
        }
      />
      {Boolean(crons?.length) && <Snippet title="Register another one; a label that is there is replaced" code={CODE} />}
      <History label={query.label} cron={crons?.find((one) => one.label === query.label)} known={crons !== undefined} close={() => setQuery({ label: undefined })} run={may ? run : undefined} remove={may ? removing.open : undefined} />
      <Confirm {...removing.dialog} title={`Remove the cron ${removing.about}?`} action="Remove" run={() => remove.run(removing.about ?? '')}>
        It runs no more, and its history is forgotten. Jobs that it has made stay.
      </Confirm>
    </Page>
  )
}

/** 16 bytes in hexadecimal: a repeat of the same request is the same run. */
const token = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (one) => one.toString(16).padStart(2, '0')).join('')

export function Next({ cron }: { cron: Cron }) {
  if (cron.next_run === null) return <span className="pc-dim">never</span>
  const elsewhere = there(cron.next_run, cron.timezone)
  return (
    <>
      <div>
        <Time at={cron.next_run} />{' '}
        <span className="pc-dim">
          <Ago at={cron.next_run} />
        </span>
      </div>
      {elsewhere && <div className="pc-dim">{elsewhere}</div>}
    </>
  )
}

export function Last({ cron }: { cron: Cron }) {
  if (cron.last_run === null) return <span className="pc-dim">not yet</span>
  return (
    <>
      <div>{cron.last_status ? <Status state={cron.last_status} /> : <span className="pc-dim">cleaned away</span>}</div>
      <div className="pc-dim">
        <Ago at={cron.last_run} />
      </div>
    </>
  )
}
