import { Button } from '@mantine/core'
import { IconTrash } from '@tabler/icons-react'
import { useAction } from '~/api/action'
import { post } from '~/api/client'
import { useGet } from '~/api/get'
import type { Shape } from '~/api/types'
import { Bytes, type Column, Confirm, ErrorBox, format, Meter, Section, Table, useConfirm } from '~/parts'
import classes from './admin.module.css'

type Plan = Shape<'Plan'>

const TAKEN: Column<Shape<'Taken'>>[] = [
  { key: 'account', title: 'Account', text: (one) => one.account, sort: (one) => one.account, cell: (one) => one.account || <span className="pc-dim">all together</span> },
  { key: 'kind', title: 'What', sort: (one) => one.kind, cell: (one) => one.kind },
  { key: 'count', title: 'How many', align: 'right', sort: (one) => one.count, cell: (one) => format.count(one.count) },
  { key: 'bytes', title: 'Size', align: 'right', sort: (one) => one.bytes, cell: (one) => <Bytes value={one.bytes} /> },
]

const PLACES: Column<Shape<'CollectionPlace'>>[] = [
  { key: 'what', title: 'What', cell: (one) => one.what },
  { key: 'place', title: 'Where', text: (one) => one.place, cell: (one) => <span className="pc-mono">{one.place}</span> },
  { key: 'bytes', title: 'Size', align: 'right', sort: (one) => one.bytes, cell: (one) => <>{!one.whole && 'at least '}<Bytes value={one.bytes} /></> },
]

/** What a sweep would take, by kind. */
const KINDS: { title: string; count: keyof Plan; bytes?: keyof Plan }[] = [
  { title: 'Payloads of old jobs', count: 'payloads', bytes: 'payload_bytes' },
  { title: 'Jobs that are long over', count: 'jobs' },
  { title: 'Code that nothing uses', count: 'code', bytes: 'code_bytes' },
  { title: 'Large values that nothing names', count: 'blobs', bytes: 'blob_bytes' },
  { title: 'Values that are condemned', count: 'condemned', bytes: 'condemned_bytes' },
  { title: 'Layers that no environment has', count: 'layers', bytes: 'layer_bytes' },
]

const PLAN: Column<(typeof KINDS)[number] & { plan: Plan }>[] = [
  { key: 'title', title: 'What', cell: (one) => one.title },
  { key: 'count', title: 'How many', align: 'right', cell: (one) => format.count(one.plan[one.count]) },
  { key: 'bytes', title: 'Size', align: 'right', cell: (one) => <Bytes value={one.bytes && one.plan[one.bytes]} /> },
]

/** What takes room, by account and by folder, and what a sweep would give back. */
export function Space() {
  const space = useGet('/v1/operator/space')
  const planned = useGet('/v1/operator/sweep')
  const ask = useConfirm()
  const renew = () => {
    space.again()
    planned.again()
  }
  const sweep = useAction(() => post('/v1/operator/sweep', {}), { said: 'The sweep has begun', then: renew })
  const plan = planned.data?.plan
  const running = planned.data?.running
  return (
    <div className={classes.stack}>
      <Section title="Disks" actions={<Button variant="default" onClick={renew}>Look again</Button>}>
        <ErrorBox error={space.data ? undefined : space.error} />
        {space.data && (
          <div className={`pc-card ${classes.meters}`}>
            {space.data.disks.map((disk) => (
              <Meter key={disk.folder} label={disk.folder} value={disk.total - disk.free} of={disk.total} said={`${format.bytes(disk.free)} free of ${format.bytes(disk.total)}`} tone={disk.free < disk.total * 0.1 ? 'bad' : 'accent'} />
            ))}
          </div>
        )}
      </Section>
      <Section
        title="What a sweep would take"
        actions={
          <Button leftSection={<IconTrash size={14} />} disabled={!plan || running} onClick={() => ask.open(true)}>
            {running ? 'A sweep is under way' : 'Sweep now'}
          </Button>
        }
      >
        {planned.data?.trouble && <p role="alert">The last sweep had trouble: {planned.data.trouble}</p>}
        <Table label="What a sweep would take" columns={PLAN} rows={plan && KINDS.map((one) => ({ ...one, plan }))} error={planned.error} expected={6} id={(one) => one.title} />
      </Section>
      <Section title="By account">
        <Table label="Space by account" columns={TAKEN} rows={space.data?.accounts} error={space.error} expected={5} id={(one) => `${one.account}/${one.kind}`} />
      </Section>
      <Section title="By folder">
        <Table label="Space by folder" columns={PLACES} rows={space.data?.places} error={space.error} expected={5} id={(one) => `${one.what}/${one.place}`} />
      </Section>
      <Confirm {...ask.dialog} title="Sweep now?" action="Sweep" harmless run={() => sweep.run()}>
        It removes what is old or unused, as the plan says.
      </Confirm>
    </div>
  )
}
