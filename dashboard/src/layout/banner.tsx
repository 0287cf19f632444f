import { UnstyledButton } from '@mantine/core'
import { IconPlugConnectedX } from '@tabler/icons-react'
import { useConnection } from '~/api/live'
import classes from './shell.module.css'

/** Says while the stream is broken that what is shown grows old. */
export function Banner() {
  const { broken, retry } = useConnection()
  return (
    <div role="status" className={classes.banner} data-shown={broken || undefined}>
      {broken && (
        <>
          <IconPlugConnectedX size={16} aria-hidden />
          Connection lost, trying again.
          <UnstyledButton className={classes.retry} onClick={retry}>
            Try now
          </UnstyledButton>
        </>
      )}
    </div>
  )
}
