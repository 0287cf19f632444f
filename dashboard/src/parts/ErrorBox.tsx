import { Button } from '@mantine/core'
import { IconAlertTriangle } from '@tabler/icons-react'
import { type ApiError, sentence } from '~/api/error'
import classes from './Boxes.module.css'

interface Props {
  /** Nothing is shown without one. */
  error: ApiError | undefined
  /** Offers to try again. */
  retry?: () => void
}

/** What went wrong and what to do next, in the server's own words. */
export function ErrorBox({ error, retry }: Props) {
  if (!error) return null
  return (
    <div role="alert" className={classes.error}>
      <IconAlertTriangle size={18} aria-hidden />
      <div className={classes.grow}>
        <strong>{sentence(error.message)}</strong>
        {error.hint && <div className="pc-dim">{sentence(error.hint)}</div>}
      </div>
      {retry && (
        <Button variant="default" onClick={retry}>
          Try again
        </Button>
      )}
    </div>
  )
}
