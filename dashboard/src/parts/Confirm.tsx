import { Button, Group, Modal, Stack, TextInput } from '@mantine/core'
import { type ReactNode, useState } from 'react'

interface Props {
  opened: boolean
  onClose: () => void
  /** The question: "Delete 12 jobs?". */
  title: string
  /** What will be lost. */
  children?: ReactNode
  /** The word on the button: "Delete". */
  action: string
  /** Where it succeeds the dialog closes; undefined = it failed and has been shown. */
  run: () => Promise<unknown> | void
  /** A name that must be typed first, for what cannot be undone. */
  type?: string
  /** It harms nothing: no red button. */
  harmless?: boolean
}

/** Asks before something dangerous happens. */
export function Confirm(props: Props) {
  return (
    <Modal opened={props.opened} onClose={props.onClose} title={<strong>{props.title}</strong>}>
      {props.opened && <Question {...props} />}
    </Modal>
  )
}

function Question({ onClose, children, action, run, type, harmless }: Props) {
  const [typed, setTyped] = useState('')
  const [busy, setBusy] = useState(false)
  const go = async () => {
    setBusy(true)
    const done = await run()
    setBusy(false)
    if (done !== undefined) onClose()
  }
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        void go()
      }}
    >
      <Stack gap="md">
        {children && <div>{children}</div>}
        {type && <TextInput label={`Type "${type}" to go on`} value={typed} onChange={(event) => setTyped(event.currentTarget.value)} autoComplete="off" data-autofocus />}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" color={harmless ? undefined : 'red.8'} loading={busy} disabled={Boolean(type) && typed !== type} data-autofocus={type ? undefined : true}>
            {action}
          </Button>
        </Group>
      </Stack>
    </form>
  )
}

/** Opens and closes a Confirm and remembers what it is about: `const ask = useConfirm<Job>()`, `ask.open(job)`, `<Confirm {...ask.dialog} ..>{ask.about?.label}`. */
export function useConfirm<About = true>() {
  const [about, setAbout] = useState<About>()
  const [opened, setOpened] = useState(false)
  const open = (what: About) => {
    setAbout(() => what)
    setOpened(true)
  }
  return { open, about, dialog: { opened, onClose: () => setOpened(false) } }
}
