import { useLive } from '~/api/live'
import { type Column, Empty, ErrorBox, format, Meter, Page, Section, Snippet, Status, Table, Tile, Tiles, useWho } from '~/parts'
import type { Shape } from '~/api/types'
import { Prices } from '../usage/prices'
import classes from './cluster.module.css'
import { Machine } from './machine'
import { Waits } from './waits'

type Worker = Shape<'Placed'>
type Share = Shape<'Share'>

/** The machine, its workers, what waits and why, and who has how much of it. */
export default function Cluster() {
  const { owner } = useWho()
  const { data, error } = useLive('/v1/cluster')
  const { data: status } = useLive('/v1/status')
  const all = data?.totals
  return (
    <Page title="Cluster" about={data && `${data.machine.name}, sandboxes of rung ${data.machine.rung}`}>
      <ErrorBox error={data ? undefined : error} />
      {status?.warnings.map((one) => (
        <div key={one} role="alert" className={classes.warning}>
          {one}
        </div>
      ))}
      <Tiles>
        <Tile title="Cores busy" value={all && <>{Math.min(all.cores_busy, data.machine.capacity.cores)} <span className={classes.of}>of {data.machine.capacity.cores}</span></>} note={data && `${data.machine.cpu_percent.toFixed(0)} % of CPU at work`} />
        <Tile title="Slots busy" value={all && <>{all.busy} <span className={classes.of}>of {all.slots}</span></>} note={all && `${all.workers} ${all.workers === 1 ? 'worker' : 'workers'}`} />
        <Tile title="Jobs waiting for a slot" value={all && format.count(all.waiting)} note="of each kind at most 1,000 are counted" />
        <Tile title="Memory in use" value={data && format.bytes(data.machine.memory_used)} note={data && `of ${format.bytes(data.machine.memory)}; jobs may have ${format.bytes(data.machine.capacity.memory)}`} />
      </Tiles>
      {data && status && <Machine cluster={data} status={status} />}
      <Waits waits={data?.waits} owner={owner} error={error} />
      <Section title="Workers">
        <Table
          label="Workers"
          columns={owner ? WORKERS : WORKERS.filter((one) => one.key !== 'account')}
          rows={data?.workers}
          error={error}
          expected={3}
          id={(one) => one.incarnation}
          empty={<Empty title="No workers run" more={<Snippet code={'import cloud\n\njid = cloud.call(sum, [1, 2])\nprint(cloud.result(jid))'} />}>The first job of a kind starts one; it ends when nothing has come for a while.</Empty>}
        />
      </Section>
      {owner && (
        <Section title="By account">
          <Table label="Accounts" columns={sharesOf(data?.machine.capacity.cores ?? 0)} rows={data?.accounts} error={error} expected={2} id={(one) => one.account} />
        </Section>
      )}
      <Prices title="Core types" />
    </Page>
  )
}

const WORKERS: Column<Worker>[] = [
  { key: 'type', title: 'Cores', cell: (one) => `${one.cores} × ${one.core_type}` },
  { key: 'state', title: 'State', cell: (one) => <Status state={!one.connected ? 'stalled' : one.busy ? 'running' : one.ready ? 'ready' : 'waiting'}>{!one.connected ? 'not connected' : one.busy ? 'working' : one.ready ? 'idle' : 'starting'}</Status> },
  { key: 'account', title: 'Account', text: (one) => one.account, cell: (one) => one.account },
  { key: 'env', title: 'Environment', from: 'md', text: (one) => one.env ?? '', cell: (one) => one.env ?? <span className="pc-dim">none</span> },
  { key: 'slots', title: 'Slots busy', align: 'right', cell: (one) => `${one.busy} of ${one.slots}` },
  { key: 'bar', title: 'Busy', from: 'sm', width: 120, cell: (one) => <Meter bare label="Slots busy" value={one.busy} of={one.slots} said={`${one.busy} of ${one.slots} slots`} /> },
  { key: 'held', title: 'Jobs in hand', align: 'right', from: 'lg', cell: (one) => one.held },
  { key: 'target', title: 'Slots wanted', align: 'right', from: 'lg', cell: (one) => one.target },
  { key: 'kind', title: 'On', from: 'lg', cell: (one) => (one.reserved ? 'reserved cores' : 'shared cores') },
  { key: 'pid', title: 'Process', align: 'right', from: 'md', cell: (one) => one.pid || <span className="pc-dim">–</span> },
]

const sharesOf = (cores: number): Column<Share>[] => [
  { key: 'account', title: 'Account', text: (one) => one.account, cell: (one) => one.account },
  { key: 'busy', title: 'Jobs running', align: 'right', cell: (one) => format.count(one.busy) },
  { key: 'cores', title: 'Cores busy', align: 'right', cell: (one) => format.count(one.cores_busy) },
  { key: 'bar', title: 'Of the machine', from: 'sm', width: 180, cell: (one) => <Meter bare label={`Cores of ${one.account}`} value={one.cores_busy} of={cores} said={`${one.cores_busy} of ${cores} cores`} /> },
  { key: 'waiting', title: 'Waiting', align: 'right', cell: (one) => format.count(one.waiting) },
  { key: 'workers', title: 'Workers', align: 'right', from: 'sm', cell: (one) => one.workers },
]
