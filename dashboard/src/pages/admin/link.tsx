import { Alert, Modal, Stack } from '@mantine/core'
import { Snippet, Time } from '~/parts'

interface Props {
  title: string
  link: string
  expires: number | undefined
  mailed: boolean | undefined
  onClose: () => void
}

/** A link that works once, shown once. */
export function OneLink({ title, link, expires, mailed, onClose }: Props) {
  return (
    <Modal opened onClose={onClose} title={<strong>{title}</strong>} size="lg" closeOnClickOutside={false}>
      <Stack gap="md">
        <Alert color="yellow" variant="light">
          The link is shown only now, and works once, until <Time at={expires} />. {mailed ? 'It was mailed as well.' : 'Give it to whom it is for.'}
        </Alert>
        <Snippet code={link} />
      </Stack>
    </Modal>
  )
}
