import { UnstyledButton } from '@mantine/core'
import { IconChevronRight } from '@tabler/icons-react'
import { type ReactNode, useId, useState } from 'react'
import { Copy } from '~/parts'
import { pieces } from './output/lines'
import classes from './text.module.css'

/** A part that can be folded away. */
export function Fold({ title, beside, open = false, children }: { title: ReactNode; beside?: ReactNode; open?: boolean; children: ReactNode }) {
  const [shown, setShown] = useState(open)
  const id = useId()
  return (
    <div className={classes.fold}>
      <div className={classes.head}>
        <UnstyledButton className={classes.toggle} aria-expanded={shown} aria-controls={id} onClick={() => setShown(!shown)}>
          <IconChevronRight size={14} aria-hidden />
          {title}
        </UnstyledButton>
        {beside}
      </div>
      <div id={id} hidden={!shown}>
        {shown && children}
      </div>
    </div>
  )
}

/** Text of a job that can be folded away and copied: escape codes in it are told, not obeyed. */
export function Text({ title, text, open }: { title: string; text: string; open?: boolean }) {
  return (
    <Fold title={title} open={open} beside={<Copy text={text} label={`Copy: ${title.toLowerCase()}`} />}>
      {/* It scrolls, so the keyboard must reach it. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <pre className={classes.text} tabIndex={0} aria-label={title}>
        {pieces(text.trimEnd())
          .map((one) => one.text)
          .join('')}
      </pre>
    </Fold>
  )
}
