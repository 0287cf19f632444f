import { Progress } from '@mantine/core'
import { useLive } from '~/api/live'
import { bytes } from '../format'
import classes from './files.module.css'
import { files } from './names'

/** What the account stores, of what it may. */
export function Room() {
  const { data } = useLive('/v1/object')
  if (!data) return <span className={classes.room}>&nbsp;</span>
  const share = data.quota ? (data.bytes / data.quota) * 100 : 0
  return (
    <span className={classes.room} title="In the bucket and all volumes together">
      In all {files(data.objects)}, {bytes(data.bytes)}
      {data.quota > 0 && (
        <>
          {' '}
          of {bytes(data.quota)} <Progress value={share} color={share > 90 ? 'red' : undefined} size="sm" w={80} aria-label="Storage that is used" />
        </>
      )}
    </span>
  )
}
