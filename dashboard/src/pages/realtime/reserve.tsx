import { Button, Group, Modal, NumberInput, Select, Stack } from '@mantine/core'
import { useState } from 'react'
import { useAction } from '~/api/action'
import { post } from '~/api/client'
import type { ApiError } from '~/api/error'
import { ErrorBox, format, useWho } from '~/parts'
import classes from './realtime.module.css'

export const MOST_HOURS = 24 * 366 * 10
const MOST_CORES = 100_000
/** Micro-dollars an hour, as an amount. */
const AN_HOUR = 3_600_000

interface Props {
  opened: boolean
  close: () => void
}

/** Asks for cores, and says before what they will cost. */
export const Reserve = (props: Props) => (
  <Modal opened={props.opened} onClose={props.close} title={<strong>Reserve cores</strong>}>
    {props.opened && <Form {...props} />}
  </Modal>
)

function Form({ close }: Props) {
  const { server } = useWho()
  const types = Object.entries(server.core_types)
  const [type, choose] = useState(server.default_type)
  const [cores, setCores] = useState<number | string>(1)
  const [hours, setHours] = useState<number | string>(8)
  const [token] = useState(() => crypto.randomUUID().replaceAll('-', ''))
  const reserve = useAction(
    (max: number | null) => post('/v1/realtime', { type, cores: Number(cores), max_duration: max, token }),
    { said: 'The cores are reserved; they are ready in a moment', then: close, quiet: true },
  )
  const longest = hours === '' ? null : Number(hours)
  const price = (server.core_types[type]?.price ?? 0) * AN_HOUR * (Number(cores) || 0)
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        void reserve.run(longest)
      }}
    >
      <Stack gap="sm">
        <Select
          label="Core type"
          value={type}
          onChange={(value) => value && choose(value)}
          allowDeselect={false}
          data={types.map(([name, one]) => ({ value: name, label: `${name}: ${format.bytes(one.memory)} a core, ${format.money(one.price * AN_HOUR)} an hour` }))}
        />
        <NumberInput label="Cores" min={1} max={MOST_CORES} allowDecimal={false} value={cores} onChange={setCores} />
        <NumberInput label="Longest time in hours" description="Empty: until you release them" min={1} max={MOST_HOURS} allowDecimal={false} value={hours} onChange={setHours} />
        <Cost price={price} hours={longest} />
        <Refused error={reserve.error} />
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button type="submit" loading={reserve.busy} disabled={!Number(cores)}>
            Reserve
          </Button>
        </Group>
      </Stack>
    </form>
  )
}

/** What an hour costs, and all of it. */
export const Cost = ({ price, hours }: { price: number; hours: number | null }) => (
  <div className={classes.cost}>
    <b>{format.money(price)}</b> an hour, {hours === null ? <><b>{format.money(price * 24)}</b> a day, until you release them</> : <>at most <b>{format.money(price * hours)}</b> in {format.count(hours)} {hours === 1 ? 'hour' : 'hours'}</>}. Used or not, from when they are ready.
  </div>
)

const FIGURES = ['asked', 'reservable', 'reserved'] as const
const TITLES = { asked: 'Asked for', reservable: 'May be reserved', reserved: 'Reserved already' }

/** Why not, with the figures. */
function Refused({ error }: { error: ApiError | undefined }) {
  const facts = error?.facts
  if (!facts || typeof facts.asked !== 'number') return <ErrorBox error={error} />
  return (
    <>
      <ErrorBox error={error} />
      <dl className={classes.figures}>
        {FIGURES.map((name) => (
          <div key={name}>
            <dt>{TITLES[name]}</dt>
            <dd>
              {Number(facts[name]).toLocaleString('en-US', { maximumFractionDigits: 1 })} <span className="pc-dim">{String(facts.what)}</span>
            </dd>
          </div>
        ))}
      </dl>
    </>
  )
}
