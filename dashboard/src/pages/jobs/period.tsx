import { Button, Group, Modal, Stack, TextInput } from '@mantine/core'
import { useState } from 'react'
import type { Filters } from './filters'

interface Props {
  filters: Filters
  opened: boolean
  onClose: () => void
}

/** Two moments between which jobs were created. */
export function Period(props: Props) {
  return (
    <Modal opened={props.opened} onClose={props.onClose} title={<strong>Created between</strong>}>
      {props.opened && <Fields {...props} />}
    </Modal>
  )
}

function Fields({ filters, onClose }: Props) {
  const [since, setSince] = useState(local(filters.values.since))
  const [until, setUntil] = useState(local(filters.values.until))
  const wrong = since && until && since >= until ? 'This is not after the beginning' : undefined
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        filters.set({ since: epoch(since), until: epoch(until) })
        onClose()
      }}
    >
      <Stack gap="md">
        <TextInput type="datetime-local" label="From" value={since} onChange={(event) => setSince(event.currentTarget.value)} data-autofocus />
        <TextInput type="datetime-local" label="To" value={until} error={wrong} onChange={(event) => setUntil(event.currentTarget.value)} />
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" disabled={Boolean(wrong)}>
            Show
          </Button>
        </Group>
      </Stack>
    </form>
  )
}

const epoch = (text: string) => (text ? String(new Date(text).getTime()) : undefined)

/** Epoch ms as such a field writes them, in the user's zone. */
function local(ms: string | undefined): string {
  const at = Number(ms)
  if (!ms || !Number.isFinite(at)) return ''
  return new Date(at - new Date(at).getTimezoneOffset() * 60_000).toISOString().slice(0, 16)
}
