import { Drawer } from '@mantine/core'
import { Terminal as Screen } from '~/parts/Terminal'
import classes from './terminal.module.css'

interface Props {
  jid: number
  opened: boolean
  onClose: () => void
}

/** A shell in the running job. Escape belongs to the shell; F6 leaves it for the close button. */
export function Terminal({ jid, opened, onClose }: Props) {
  return (
    <Drawer
      opened={opened}
      onClose={onClose}
      position="bottom"
      size="min(34rem, 75dvh)"
      title={<Title jid={jid} />}
      closeOnEscape={false}
      overlayProps={{ backgroundOpacity: 0.25 }}
      closeButtonProps={{ 'aria-label': 'Close the terminal' }}
      classNames={{ content: classes.content, body: classes.body, header: classes.header }}
    >
      <Screen jid={jid} />
    </Drawer>
  )
}

const Title = ({ jid }: { jid: number }) => (
  <span className={classes.title}>
    <strong>Terminal in job {jid}</strong>
    <span className="pc-dim">what you change there ends with the job · F6 leaves it</span>
  </span>
)
