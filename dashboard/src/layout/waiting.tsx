import { Skeleton } from '@mantine/core'
import frame from '~/parts/Page.module.css'
import classes from './shell.module.css'

/** What stands there while the code of a page comes. */
export function Waiting() {
  return (
    <div className={`${frame.page} ${classes.waiting}`} aria-busy>
      <Skeleton height={24} width={140} my={6} />
      <div className={frame.body}>
        <Skeleton height={88} radius={8} />
        <Skeleton height={320} radius={8} />
      </div>
    </div>
  )
}
