import { Button } from '@mantine/core'
import { IconPlus } from '@tabler/icons-react'
import { useState } from 'react'
import { useAction } from '~/api/action'
import { post } from '~/api/client'
import { useLive } from '~/api/live'
import type { Shape } from '~/api/types'
import { Ago, type Column, Confirm, Empty, format, Money, Page, Section, Snippet, Status, Table, Time, useConfirm, useWho } from '~/parts'
import { Last } from './last'
import { Reserve } from './reserve'

type Reservation = Shape<'Costing'>
const HOUR = 3_600_000
const FORMER = 20

const CODE = `import cloud

reserved = cloud.realtime.request("c1", 1, max_duration=8)   # hours
jid = cloud.call(pow, 2, 10, _type="c1")                     # begins in milliseconds
cloud.realtime.release(reserved["request_id"])`

const TONES = { pending: 'waits', ready: 'good', releasing: 'warns', ended: 'off' } as const

const COMMON: Column<Reservation>[] = [
  { key: 'number', title: 'Number', cell: (one) => one.request_id },
  { key: 'type', title: 'Cores', cell: (one) => `${format.count(one.cores)} × ${one.type}` },
  { key: 'state', title: 'State', cell: (one) => <Status state={one.state} tone={TONES[one.state as keyof typeof TONES]} /> },
  { key: 'since', title: 'Ready since', cell: (one) => (one.start_time === null ? <span className="pc-dim">{one.state === 'pending' ? 'not yet' : 'never'}</span> : <Time at={one.start_time} />) },
]
const COST: Column<Reservation>[] = [
  { key: 'cost', title: 'Cost so far', align: 'right', cell: (one) => <Money value={one.cost} /> },
  { key: 'rate', title: 'An hour', align: 'right', cell: (one) => <Money value={one.cores * one.price * HOUR} /> },
]
const ENDS: Column<Reservation> = {
  key: 'ends',
  title: 'Ends',
  cell: (one) => (one.end_time !== null ? <Ago at={one.end_time} /> : one.max_duration === null ? 'when released' : `after ${one.max_duration} h`),
}
const ENDED: Column<Reservation>[] = [
  ...COMMON,
  { key: 'ended', title: 'Ended', cell: (one) => <Time at={one.end_time} /> },
  { key: 'why', title: 'Why', text: (one) => one.why, cell: (one) => one.why },
  { key: 'cost', title: 'Cost', align: 'right', cell: (one) => <Money value={one.cost} /> },
]

/** Cores that are kept ready, and what they cost. */
export default function RealtimePage() {
  const { data, error } = useLive('/v1/realtime', { ended: FORMER })
  const may = useWho().scopes.includes('jobs')
  const [reserving, reserve] = useState(false)
  const [changing, change] = useState<Reservation>()
  const release = useAction((number: number) => post('/v1/realtime/release', { request_id: number }), { said: 'The cores are released' })
  const releasing = useConfirm<Reservation>()
  const open = data?.reservations.filter((one) => one.state !== 'ended')
  const former = data?.reservations.filter((one) => one.state === 'ended') ?? []
  const actions: Column<Reservation> = {
    key: 'actions',
    title: '',
    align: 'right',
    cell: (one) =>
      one.state !== 'releasing' && (
        <Button.Group style={{ justifyContent: 'flex-end' }}>
          <Button size="compact-sm" variant="default" aria-label={`Change how long reservation ${one.request_id} lasts`} onClick={() => change(one)}>
            Change
          </Button>
          <Button size="compact-sm" variant="default" aria-label={`Release reservation ${one.request_id}`} onClick={() => releasing.open(one)}>
            Release
          </Button>
        </Button.Group>
      ),
  }
  const button = may && (
    <Button leftSection={<IconPlus size={14} aria-hidden />} onClick={() => reserve(true)}>
      Reserve cores
    </Button>
  )
  return (
    <Page title="Real-time cores" actions={button} about="Cores of a type that are kept ready for your jobs: these begin within milliseconds, however busy the machine is.">
      <Table
        label="Reservations"
        columns={may ? [...COMMON, ENDS, ...COST, actions] : [...COMMON, ENDS, ...COST]}
        rows={open}
        error={error}
        expected={2}
        id={(one) => one.request_id}
        empty={
          <Empty title="No cores are reserved" more={<Snippet code={CODE} />}>
            All your jobs that ask for the core type use them. They are paid from when they are ready until they are released, used or not; jobs on them cost nothing more.
          </Empty>
        }
      />
      {former.length > 0 && (
        <Section title="Former ones">
          <Table label="Former reservations" columns={ENDED} rows={former} id={(one) => one.request_id} height="24rem" />
        </Section>
      )}
      <Reserve opened={reserving} close={() => reserve(false)} />
      <Last reservation={changing} close={() => change(undefined)} />
      <Confirm {...releasing.dialog} title={`Release ${releasing.about?.cores} ${releasing.about?.type}?`} action="Release" run={() => releasing.about && release.run(releasing.about.request_id)}>
        No job begins on these cores any more. They are paid until the jobs that run on them have ended.
      </Confirm>
    </Page>
  )
}
