import { Button, Group, Modal, type ModalProps, Stack } from '@mantine/core'
import type { ReactNode } from 'react'
import type { ApiError } from '~/api/error'
import { ErrorBox } from './ErrorBox'

interface Props {
  opened: boolean
  onClose: () => void
  title: string
  /** The word on the button: "Create". */
  action: string
  /** Where it succeeds the dialog closes; undefined = it failed, and `error` says why. */
  run: () => Promise<unknown>
  busy?: boolean
  error?: ApiError
  /** The form is not complete yet. */
  disabled?: boolean
  size?: ModalProps['size']
  /** The fields. */
  children: ReactNode
}

/** A form in a dialog. What is in the fields belongs to who opens it; give it a key to begin anew each time. */
export function Dialog({ opened, onClose, title, action, run, busy, error, disabled, size, children }: Props) {
  return (
    <Modal opened={opened} onClose={onClose} title={<strong>{title}</strong>} size={size}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          void run().then((done) => done !== undefined && onClose())
        }}
      >
        <Stack gap="md">
          <ErrorBox error={error} />
          {children}
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" loading={busy} disabled={disabled}>
              {action}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}
