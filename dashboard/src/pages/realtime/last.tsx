import { Button, Group, Modal, NumberInput, Stack } from '@mantine/core'
import { useState } from 'react'
import { useAction } from '~/api/action'
import { post } from '~/api/client'
import type { Shape } from '~/api/types'
import { ErrorBox } from '~/parts'
import { Cost, MOST_HOURS } from './reserve'

interface Props {
  reservation: Shape<'Costing'> | undefined
  close: () => void
}

/** Changes after how long cores are released by themselves. */
export const Last = ({ reservation, close }: Props) => (
  <Modal opened={reservation !== undefined} onClose={close} title={<strong>How long reservation {reservation?.request_id} lasts</strong>}>
    {reservation && <Form reservation={reservation} close={close} />}
  </Modal>
)

function Form({ reservation, close }: { reservation: Shape<'Costing'>; close: () => void }) {
  const [hours, set] = useState<number | string>(reservation.max_duration ?? '')
  const longest = hours === '' ? null : Number(hours)
  const change = useAction(() => post('/v1/realtime/change', { request_id: reservation.request_id, max_duration: longest }), { said: 'The reservation is changed', then: close, quiet: true })
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        void change.run()
      }}
    >
      <Stack gap="sm">
        <NumberInput label="Longest time in hours" description="From when they were ready; empty: until you release them" min={1} max={MOST_HOURS} allowDecimal={false} value={hours} onChange={set} data-autofocus />
        <Cost price={reservation.cores * reservation.price * 3_600_000} hours={longest} />
        <ErrorBox error={change.error} />
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button type="submit" loading={change.busy}>
            Change
          </Button>
        </Group>
      </Stack>
    </form>
  )
}
